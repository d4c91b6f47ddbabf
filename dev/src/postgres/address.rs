//! How to reach a server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Port and password of a server on 127.0.0.1, whose user is `postgres`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) port: u16,
    password: String,
}

impl Address {
    pub(super) fn new(home: &Path, port: u16) -> Result<Self> {
        let file = home.join("password");
        let password =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Address { port, password })
    }

    /// A URL for this database, with the password in it.
    pub fn url(&self, database: &str) -> String {
        let Address { port, password } = self;
        format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}")
    }

    /// A program such as `psql`, set up to connect to the database `postgres`.
    ///
    /// By its environment: other users of the machine see the arguments of a program.
    pub fn client(&self, program: PathBuf) -> Command {
        let mut client = Command::new(program);
        client
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", "postgres")
            .env_remove("PGSERVICE")
            .env_remove("PGSSLMODE");
        client
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "127.0.0.1:{}", self.port)
    }
}
