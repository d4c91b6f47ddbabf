//! The configuration: which values each variable accepts, and what the error message says about invalid ones.

mod database_url;
mod dotenv;
#[path = "../support/process.rs"]
#[allow(dead_code)]
mod process;
mod secret;

use std::fs;
use std::path::{Path, PathBuf};

use app::{Config, config::ConfigError};

/// The only variable without a default.
const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "postgres://visitor:hunter2hunter2@localhost/journal");

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Reads a configuration from these variables alone. If none of them sets a secret, adds [`SECRET`], because reading
/// a configuration without a secret creates a file.
fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let has_secret = variables.iter().any(|(name, _)| name.starts_with("SESSION_SECRET"));
    Config::from_lookup(|name| {
        let set = variables.iter().find(|(set, _)| *set == name).map(|(_, value)| *value);
        set.or((name == "SESSION_SECRET" && !has_secret).then_some(SECRET)).map(str::to_owned)
    })
}

/// The error message for these variables.
fn problems(variables: &[(&str, &str)]) -> String {
    let config = config(variables);
    config
        .map(|config| panic!("{variables:?} is valid: {config:?}"))
        .unwrap_or_else(|error| error.to_string())
}

/// The `Debug` output of the configuration with one variable set.
fn shown(name: &str, value: &str) -> String {
    let config = config(&[DATABASE_URL, (name, value)]);
    format!("{:?}", config.unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// A directory that one test uses. It is removed when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(uuid::Uuid::new_v4().to_string());
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Runs the program in `directory` with these variables. Returns its exit code and its log.
fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let (code, _, log) = process::run(directory, arguments, variables, "");
    (code, log)
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Invalid values for each variable. The message must not show values that contain a canary.
const INVALID: &[(&str, &[&str])] = &[
    (
        "DATABASE_URL",
        &[
            "mysql://canary:canary@localhost/name",
            "postgres://canary:port/name",
            "postgres://canary/name?sslmode=perhaps",
            "localhost/canary",
        ],
    ),
    ("EXPERIMENTS", &["canary", "1"]), // demo
    ("METRICS_ADDRESS", &["canary", "127.0.0.1"]),
    ("MIGRATION_DATABASE_URL", &["mysql://canary:canary@localhost/name", "localhost/canary"]),
    ("DATABASE_MAX_CONNECTIONS", &["canary", "0", "1001", "-1", "1.5"]),
    ("WORKERS", &["canary", "0", "65", "-1", "1.5"]),
    ("BIND_ADDRESS", &["canary:8080", "localhost:8080", "127.0.0.1", "8080", "127.0.0.1:65536"]),
    ("SESSION_SECRET", &["too-short-canary", "0123456789abcdef0123456789abcdef,canary"]),
    ("SESSION_IDLE_TIMEOUT", &["canary", "59s", "0", "-5m", "30", "90s 1ns", "60500ms", "401d"]),
    ("SESSION_MAX_AGE", &["canary", "59s", "0", "-5m", "30", "90s 1ns", "60500ms", "401d"]),
    ("REMEMBER_IDLE_TIMEOUT", &["canary", "59s", "401d"]), // accounts
    ("REMEMBER_MAX_AGE", &["canary", "59s", "401d"]),      // accounts
    ("COOKIE_SECURE", &["canary", "yes", "1", "TRUE"]),
    ("NEW_SESSIONS_PER_MINUTE", &["canary", "-1", "1000001", "1.5"]), // demo
    ("TRUSTED_PROXIES", &["10.0.0.1,canary", "everyone", "10.0.0.0/33"]),
    ("LOG_FORMAT", &["canary", "xml"]),
    ("RUST_LOG", &["canary=canary=canary", "info,app=loudly"]),
];

#[test]
fn one_message_names_all_invalid_variables_and_what_they_accept_but_shows_no_value() {
    let all: Vec<_> = INVALID.iter().map(|(name, values)| (*name, values[0])).collect();
    let error = config(&all).expect_err("invalid values");
    let message = error.to_string();

    for (name, _) in INVALID {
        assert_eq!(message.matches(&format!("\n  {name}: must be ")).count(), 1, "{name} in {message}");
    }
    assert_eq!(message.lines().count(), 1 + INVALID.len(), "{message}");
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "it may be a secret in the wrong place: {error}"
    );
}

#[test]
fn a_value_that_is_too_low_too_high_or_invalid_is_reported_by_name() {
    for (name, values) in INVALID {
        for value in *values {
            let message = problems(&[(name, value), DATABASE_URL]);

            assert!(message.contains(&format!("\n  {name}: must be ")), "{name}={value}: {message}");
            assert_eq!(message.lines().count(), 2, "{name}={value}: {message}");
        }
    }
}

#[test]
fn the_limits_and_times_with_several_units_are_valid() {
    for (name, values) in [
        ("DATABASE_MAX_CONNECTIONS", ["1", "1000"]),
        ("WORKERS", ["1", "64"]),
        ("SESSION_IDLE_TIMEOUT", ["1m", "8h"]),
        ("SESSION_MAX_AGE", ["30m", "400d"]),
        ("NEW_SESSIONS_PER_MINUTE", ["0", "1000000"]), // demo
    ] {
        for value in values {
            let config = config(&[DATABASE_URL, (name, value)]);
            assert!(config.is_ok(), "{name}={value}: {config:?}");
        }
    }
    assert_eq!(shown("SESSION_IDLE_TIMEOUT", "1h 30m"), shown("SESSION_IDLE_TIMEOUT", "90m"));
}

#[test]
fn spaces_around_a_value_are_ignored_and_an_empty_value_counts_as_not_set() {
    let default = shown("DATABASE_URL", DATABASE_URL.1);

    // An empty SESSION_SECRET would create a file: see `secret`.
    for (name, _) in INVALID.iter().filter(|(name, _)| !["DATABASE_URL", "SESSION_SECRET"].contains(name)) {
        assert_eq!(shown(name, ""), default, "{name}");
        assert_eq!(shown(name, " "), default, "{name}");
    }
    for message in [problems(&[]), problems(&[("DATABASE_URL", " ")])] {
        assert!(message.contains("DATABASE_URL: must be set, for example to postgres://"), "{message}");
    }
    assert_eq!(shown("BIND_ADDRESS", " [::]:80 "), shown("BIND_ADDRESS", "[::]:80"));
}

#[test]
fn an_idle_timeout_longer_than_the_maximum_age_is_refused() {
    let is_refused = |age, value, idle| {
        let message = problems(&[DATABASE_URL, (age, value)]);
        assert!(message.contains(&format!("{idle}: must not be longer than {age}")), "{message}");
    };

    is_refused("SESSION_MAX_AGE", "10m", "SESSION_IDLE_TIMEOUT");
    is_refused("REMEMBER_MAX_AGE", "10d", "REMEMBER_IDLE_TIMEOUT"); // accounts
}

#[test]
fn a_logged_configuration_contains_no_password_and_no_secret() {
    let config = config(&[DATABASE_URL, ("SESSION_SECRET", SECRET)]).expect("a valid configuration");

    let shown = format!("{config:?} {config:#?}");

    assert!(shown.contains("localhost") && shown.contains("journal"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(&SECRET[..8]), "{shown}");
}
