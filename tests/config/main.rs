//! The configuration, and whether `.env.example` agrees with it.

mod database_url;
mod dotenv;
mod env_example;
#[path = "../support/process.rs"]
#[allow(dead_code)]
mod process;
mod secret;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
};

use app::{Config, config::ConfigError};

/// The only variable without a default.
const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "postgres://visitor:hunter2hunter2@localhost/journal");

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Reads a configuration from these variables alone. If none of them is about the secret, it gets one, because a
/// configuration without a secret creates a file.
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
