//! Which database URLs are accepted. Parameters that sqlx would ignore are refused.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{DATABASE_URL, Directory, config, problems};

/// How the log shows this URL.
fn shown(url: &str) -> String {
    let config = config(&[("DATABASE_URL", url)]);
    format!("{:?}", config.unwrap_or_else(|error| panic!("{url}: {error}")).database_url)
}

#[test]
fn unknown_and_unsupported_parameters_are_rejected_by_name() {
    for (parameter, reason) in [
        ("ssl=true", "without ssl,"),
        ("sslmode=verify_full", "sslmode is disable, allow, prefer, require, verify-ca or verify-full"),
        ("sslmode=", "sslmode is disable"),
        ("target_session_attrs=read-write", "without target_session_attrs"),
        ("channel_binding=require", "without channel_binding"),
        ("sslmode=require&connect_timeout=10", "without connect_timeout"),
        ("load_balance_hosts=random", "without load_balance_hosts"),
        ("sslrootcert=ca.pem", "sslmode=verify-full"),
        ("sslmode=require&sslrootcert=ca.pem", "sslmode=verify-full"),
        ("sslmode=verify-full&sslrootcert=system", "sslrootcert is a file"),
        ("host=a,b", "one host"),
        ("host=a%2cb", "one host"),
        ("hostaddr=canary", "a PostgreSQL URL"),
        ("c%61nary=%25", "without …, which"),
    ] {
        for name in ["DATABASE_URL", "MIGRATION_DATABASE_URL"] {
            let url = format!("postgres://app:canary@localhost/app?{parameter}");
            let message = problems(&[(name, &*url), DATABASE_URL]);

            assert!(message.contains(&format!("{name}: must be a")), "{url}: {message}");
            assert!(message.contains(reason) && !message.contains("canary"), "{url}: {message}");
            assert_eq!(message.lines().count(), 2, "{url}: {message}");
        }
    }
}

#[test]
fn a_password_that_is_not_percent_encoded_is_refused_and_never_shown() {
    for url in [
        "postgres://app:/canary@127.0.0.1:5432/app",
        "postgres://app:12/canary@127.0.0.1:5432/app",
        "postgres://app:12?canary@127.0.0.1:5432/app",
        "postgres://app:12?canary=1@127.0.0.1:5432/app",
        "postgres://app:12#canary@127.0.0.1:5432/app",
        "postgres://app:1/canary?x@127.0.0.1/app?sslmode=require",
        "postgres://app/canary#rest",
    ] {
        let message = problems(&[("DATABASE_URL", url)]);

        assert!(message.contains("DATABASE_URL: must be a URL with a percent-encoded password"), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn only_one_host_or_socket_is_accepted_and_the_log_shows_neither_a_password_nor_part_of_one() {
    for (url, expected) in [
        ("postgres://app:hunter2%40@/app?host=/var/run/postgresql", "app@/var/run/postgresql:5432/app"),
        ("postgres://app:hunter2%40@/app?host=%2Fvar%2Frun%2Fpostgresql", "app@/var/run/postgresql:5432/app"),
        ("postgres://app:hunter2%40@%2Fvar%2Frun%2Fpostgresql/app", "app@/var/run/postgresql:5432/app"),
        ("postgres://u$er:x@localhost/na%21me", "…@localhost:5432/…"),
    ] {
        assert_eq!(shown(url), expected);
    }
    for url in ["postgres://app@a,b/app", "postgres://app@a:5432,b:5433/app", "postgres://a,b/app"] {
        assert!(problems(&[("DATABASE_URL", url)]).contains("must be a URL with one host"), "{url}");
    }
    let message = problems(&[("DATABASE_URL", "postgres://app:canary@/app")]);
    assert!(message.contains("a PostgreSQL URL, such as"), "{message}");
}

#[test]
fn invalid_and_unsupported_variables_of_postgresql_are_refused_with_their_names() {
    for (name, value, reason) in [
        ("PGSSLMODE", "verify_full", "must be disable"),
        ("PGPORT", "canary", "must be a port"),
        ("PGHOST", "a,b", "must be one host"),
        ("PGHOSTADDR", "canary", "must be one IP address"),
        ("PGTARGETSESSIONATTRS", "read-write", "must not be set"),
        ("PGSSLROOTCERT", "ca.pem", "must be used with PGSSLMODE=verify-full"),
        ("PGSERVICE", "canary", "must not be set"),
        ("PGREQUIRESSL", "1", "must not be set"),
        ("PGCHANNELBINDING", "require", "must not be set"),
    ] {
        let message = problems(&[DATABASE_URL, (name, value)]);

        assert!(message.contains(&format!("\n  {name}: {reason}")), "{message}");
        assert!(!message.contains("canary") && message.lines().count() == 2, "{message}");
    }
    for (name, value) in [("PGSSLMODE", "verify-full"), ("PGPORT", "1")] {
        assert!(config(&[DATABASE_URL, (name, value)]).is_ok(), "{name}={value}");
    }
}

#[test]
fn a_password_file_that_others_can_read_is_refused() {
    let directory = Directory::new();
    let file = directory.file("passwords");
    let path = file.to_str().expect("text");
    fs::write(&file, "*:*:*:*:canary").expect("a file");

    for (mode, is_valid) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("permissions");
        assert_eq!(config(&[DATABASE_URL, ("PGPASSFILE", path)]).is_ok(), is_valid, "{mode:o}");
    }
    let message = problems(&[DATABASE_URL, ("PGPASSFILE", path)]);
    assert!(
        message.contains("PGPASSFILE: must be a file that only its owner can read (chmod 600)"),
        "{message}"
    );
    assert!(problems(&[DATABASE_URL, ("PGPASSFILE", "missing")]).contains("PGPASSFILE: "));
}
