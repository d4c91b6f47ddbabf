//! How to connect to a server.

use std::{fmt, path::PathBuf, process::Command};

/// The port and password of a server on 127.0.0.1. The user is `postgres`.
pub struct Address {
    pub(super) port: u16,
    pub(super) password: String,
}

impl Address {
    /// Returns the URL of a database, including the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Returns a program such as `psql`, with the environment to connect to the database `postgres`. Other users can
    /// see a program's arguments, but not its environment.
    pub fn client(&self, program: PathBuf) -> Command {
        let mut client = Command::new(program);
        client.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string());
        client.env("PGUSER", "postgres").env("PGPASSWORD", &self.password).env("PGDATABASE", "postgres");
        client.env_remove("PGSERVICE").env_remove("PGSSLMODE");
        client
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "127.0.0.1:{}", self.port)
    }
}

/// Another process is running a server in the same directory.
#[derive(Debug)]
pub struct InUse;

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database is in use, most likely by another `cargo dev`")
    }
}
