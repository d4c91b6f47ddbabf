//! What the configuration promises, and that the README and `.env.example` tell the truth about it.

mod documents;
mod dotenv;
mod secret;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
};

use actix_postgres_sessions::{Config, config::ConfigError};

/// The one variable without a default.
const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "postgres://visitor:hunter2hunter2@localhost/demo");

/// What `Config` makes of these variables, and of no others.
fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    })
}

/// All that is no secret, of the configuration with one variable set.
fn shown(name: &str, value: &str) -> String {
    format!("{:?}", config(&[DATABASE_URL, (name, value)]).expect("a right value"))
}

/// A directory of one test's own, removed at its end.
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

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
