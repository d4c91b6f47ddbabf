use super::{DATABASE_URL, config, shown};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A wrong value for every variable that can be wrong, each with a word that must not show.
const WRONG: [(&str, &str); 10] = [
    ("DATABASE_URL", "mysql://canary:canary@localhost/name"),
    ("DATABASE_MAX_CONNECTIONS", "canary"),
    ("WORKERS", "canary"),
    ("BIND_ADDRESS", "canary:8080"),
    ("SESSION_SECRET", "too-short-canary"),
    ("COOKIE_SECURE", "canary"),
    ("NEW_SESSIONS_PER_MINUTE", "canary"),
    ("TRUSTED_PROXIES", "10.0.0.1,canary"),
    ("LOG_FORMAT", "canary"),
    ("RUST_LOG", "canary=canary=canary"),
];

#[test]
fn every_wrong_value_is_named_in_one_message_with_what_it_takes() {
    let wrong = [&WRONG[..], &[("SESSION_IDLE_TIMEOUT", "30"), ("SESSION_MAX_AGE", "canary")]].concat();

    let message = config(&wrong).expect_err("everything is wrong").to_string();

    for (name, _) in &wrong {
        assert_eq!(message.matches(&format!("{name}: takes ")).count(), 1, "{name} in {message}");
    }
    assert_eq!(message.lines().count(), 1 + wrong.len(), "{message}");
}

#[test]
fn a_wrong_value_is_not_repeated_because_it_may_be_a_secret_in_the_wrong_place() {
    let error = config(&WRONG).expect_err("everything is wrong");

    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn without_a_database_the_message_says_what_is_missing() {
    let message = config(&[]).expect_err("no database").to_string();

    assert!(message.contains("DATABASE_URL: is not set; takes a PostgreSQL URL"), "{message}");
}

#[test]
fn a_database_url_with_a_wrong_parameter_is_refused() {
    for url in ["postgres://h:port/name", "postgres://h/name?sslmode=perhaps", "localhost/name"] {
        let message = config(&[("DATABASE_URL", url)]).expect_err(url).to_string();

        assert!(message.contains("DATABASE_URL: takes "), "{message}");
    }
}

#[test]
fn an_empty_value_counts_as_none() {
    let default = shown("DATABASE_URL", DATABASE_URL.1);

    for name in WRONG.iter().skip(1).map(|(name, _)| *name) {
        assert_eq!(shown(name, ""), default, "{name}");
        assert_eq!(shown(name, " "), default, "{name}");
    }
    assert!(config(&[("DATABASE_URL", "")]).is_err());
}

#[test]
fn spaces_around_a_value_are_ignored() {
    assert_eq!(shown("BIND_ADDRESS", " [::]:80 "), shown("BIND_ADDRESS", "[::]:80"));
}

#[test]
fn times_are_whole_seconds_within_their_limits() {
    let with = |idle, age| {
        config(&[DATABASE_URL, ("SESSION_IDLE_TIMEOUT", idle), ("SESSION_MAX_AGE", age)])
            .map_err(|error| error.to_string())
    };

    for (idle, age) in [("1m", "1m"), ("90s", "8h"), ("1h 30m", "400d")] {
        assert!(with(idle, age).is_ok(), "{idle} {age}: {:?}", with(idle, age));
    }
    for idle in ["59s", "0", "-5m", "30", "90s 1ns", "60500ms", "401d"] {
        let message = with(idle, "400d").expect_err(idle);
        assert!(message.contains("SESSION_IDLE_TIMEOUT: takes "), "{idle}: {message}");
    }
}

#[test]
fn an_idle_timeout_longer_than_the_maximum_age_is_refused() {
    let message = config(&[DATABASE_URL, ("SESSION_MAX_AGE", "10m")]).expect_err("30m is longer").to_string();

    assert!(message.contains("SESSION_IDLE_TIMEOUT: must not be longer than SESSION_MAX_AGE"), "{message}");
}

#[test]
fn what_is_logged_of_the_configuration_holds_no_password_and_no_secret() {
    let config = config(&[DATABASE_URL, ("SESSION_SECRET", SECRET)]).expect("a right configuration");

    let shown = format!("{config:?} {config:#?}");

    assert!(shown.contains("localhost") && shown.contains("demo"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(&SECRET[..8]), "{shown}");
}
