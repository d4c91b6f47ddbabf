//! The session secret, and the file that is created for it.

use std::fs::{self, Permissions};
use std::{io, os::unix::fs::PermissionsExt, path::Path, sync::Barrier, thread};

use app::secret::SecretKeys;

use super::{DATABASE_URL, Directory, config, problems};

const NEW: &str = "the new secret of these tests alone";
const OLD: &str = "the old secret of these tests alone";

/// Creates a file that only its owner can read.
fn write(file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(file, content)?;
    fs::set_permissions(file, Permissions::from_mode(0o600))
}

fn secret_file(file: &Path) -> (&'static str, &str) {
    ("SESSION_SECRET_FILE", file.to_str().expect("text"))
}

/// The keys of a configuration with this secret file.
fn keys(file: &Path) -> SecretKeys {
    config(&[DATABASE_URL, secret_file(file)]).expect("a valid configuration").session_secret
}

/// The bytes of the current key, for comparisons.
fn current(keys: &SecretKeys) -> Vec<u8> {
    keys.current().master().to_vec()
}

fn key(secret: &str) -> Vec<u8> {
    current(&SecretKeys::parse(secret).expect("a secret"))
}

#[test]
fn a_missing_secret_file_is_created_for_its_owner_only_and_then_reused() {
    let directory = Directory::new();
    let file = directory.file("secret");

    let (first, second) = (keys(&file), keys(&file));

    assert_eq!((first.created.as_ref(), second.created.as_ref()), (Some(&file), None));
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    assert_eq!(current(&first), current(&second));
    assert!(fs::read_to_string(&file).expect("text").trim().len() >= 64, "256 bits or more");
    assert_ne!(current(&first), current(&keys(&directory.file("other"))), "each file has its own secret");
}

#[test]
fn a_missing_secret_file_is_not_created_if_another_variable_is_invalid() {
    let directory = Directory::new();
    let file = directory.file("secret");

    for invalid in
        [("DATABASE_URL", "mysql://localhost/name"), ("WORKERS", "0"), ("RUST_LOG", "info,app=loudly")]
    {
        let message = problems(&[invalid, DATABASE_URL, secret_file(&file)]);

        assert!(message.contains(invalid.0), "{message}");
        assert_eq!(fs::read_dir(&directory.0).expect("the directory").count(), 0, "{message}");
    }
}

#[test]
fn simultaneous_first_starts_agree_on_one_secret() {
    for _ in 0..20 {
        let directory = Directory::new();
        let file = directory.file("secret");
        let together = Barrier::new(8);

        let mut created = thread::scope(|scope| {
            let start = || {
                together.wait();
                current(&keys(&file))
            };
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().expect("a start")).collect::<Vec<_>>()
        });
        created.dedup();

        assert_eq!(created.len(), 1);
        assert_eq!(fs::read_dir(&directory.0).expect("the directory").count(), 1, "no other file is left");
    }
}

#[test]
fn an_invalid_secret_file_is_rejected_kept_and_not_shown() {
    let directory = Directory::new();
    let file = directory.file("secret");

    for content in ["", "\n", "canary", &format!("{NEW},canary"), &format!("{NEW}\n{OLD}")] {
        write(&file, content).expect("a file");
        let message = problems(&[DATABASE_URL, secret_file(&file)]);

        assert!(message.contains("SESSION_SECRET_FILE: must be a file with "), "{message}");
        assert!(message.contains("at least 32 characters"), "{message}");
        assert!(!message.contains("canary") && !message.contains(NEW), "{message}");
        assert_eq!(fs::read_to_string(&file).expect("text"), content, "it is not overwritten");
    }
    write(&file, [0xff; 64]).expect("a file");
    for (file, cause) in [
        (&directory.0, "directory"),
        (&file, "UTF-8"),
        (&directory.file("missing/secret"), "No such file or directory"),
    ] {
        let message = problems(&[DATABASE_URL, secret_file(file)]);

        assert!(message.contains("SESSION_SECRET_FILE: must be a file that can be "), "{message}");
        assert!(message.contains(cause), "{message}");
    }
}

#[test]
fn a_secret_file_that_others_can_read_or_write_is_refused_with_one_message() {
    let directory = Directory::new();
    let file = directory.file("secret");
    write(&file, NEW).expect("a file");

    for mode in [0o604, 0o602, 0o620, 0o644, 0o666, 0o777] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        let message = problems(&[DATABASE_URL, secret_file(&file)]);

        assert_eq!(message.matches("SESSION_SECRET_FILE: must be").count(), 1, "{message}");
        assert!(message.contains("chmod 600") && message.lines().count() == 2, "{message}");
    }
    // Kubernetes lets the group read a mounted secret.
    for mode in [0o400, 0o440, 0o600, 0o640] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        assert_eq!(current(&keys(&file)), key(NEW), "{mode:o}");
    }
}

#[test]
fn a_secret_in_quotes_is_refused_because_docker_keeps_the_quotes_of_an_env_file() {
    for quoted in
        [format!("'{NEW}'"), format!("\"{NEW}\""), format!("'{NEW},{OLD}'"), format!("{NEW},\"{OLD}\"")]
    {
        let message = problems(&[DATABASE_URL, ("SESSION_SECRET", &quoted)]);

        assert!(message.contains("without quotes") && !message.contains(NEW), "{message}");
    }
}

#[test]
fn the_secret_in_the_environment_takes_precedence_over_the_file_unless_it_is_empty() {
    let directory = Directory::new();
    let file = directory.file("secret");
    let current_with = |secret: &str| {
        let config = config(&[DATABASE_URL, secret_file(&file), ("SESSION_SECRET", secret)]);
        current(&config.expect("a valid configuration").session_secret)
    };

    assert_eq!(current_with(NEW), key(NEW));
    assert!(!file.exists(), "it is not needed");
    write(&file, OLD).expect("a file");
    assert_eq!([current_with(""), current_with(" ")], [key(OLD), key(OLD)]);
}

#[test]
fn the_first_of_several_secrets_of_at_least_32_characters_is_the_current_one() {
    let keys = SecretKeys::parse(&format!("{NEW}, {OLD}")).expect("two secrets");

    let all: Vec<Vec<u8>> = keys.all.iter().map(|key| key.master().to_vec()).collect();

    assert_eq!((all, current(&keys)), (vec![key(NEW), key(OLD)], key(NEW)));
    assert!(SecretKeys::parse(&"x".repeat(31)).is_err());
    assert!(SecretKeys::parse(&"x".repeat(32)).is_ok());
}
