//! The private PostgreSQL server behind `cargo dev` and `cargo test`. `main.rs` is the `cargo dev` program.

#![forbid(unsafe_code)]

pub mod postgres;
pub mod process;

use std::path::{Path, PathBuf};
use std::{env, ffi::OsStr, process::Command, sync::OnceLock};

use anyhow::{Context, Result};

pub use postgres::{Home, Postgres, random};
pub use process::Kept;

/// A server on which tests create their databases.
pub struct TestServer {
    /// The URL of an existing database, for creating and dropping others.
    pub admin_url: String,
    /// The server if it is temporary. It stops with this process.
    pub temporary: Option<Postgres>,
}

impl TestServer {
    /// Returns the URL of a different database on this server.
    pub fn url(&self, database: &str) -> String {
        let (base, query) = self.admin_url.split_at(self.admin_url.find('?').unwrap_or(self.admin_url.len()));
        let server = base.split('/').take(3).collect::<Vec<_>>().join("/");
        format!("{server}/{database}{query}")
    }
}

/// Returns the server of this test process: the one in `DATABASE_URL`, or a temporary one. Panics if there is none.
pub fn test_server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("DATABASE_URL") {
        Ok(admin_url) if !admin_url.is_empty() => TestServer { admin_url, temporary: None },
        _ => {
            let postgres = Postgres::temporary(&[]).unwrap_or_else(|error| panic!("{error:#}"));
            TestServer { admin_url: postgres.url("postgres"), temporary: Some(postgres) }
        }
    })
}

/// Finds the project around the current directory, because several checkouts may share this program.
pub fn project() -> Result<PathBuf> {
    let here = env::current_dir().context("can't find the current directory")?;
    let root = here.ancestors().find(|directory| directory.join("dev/Cargo.toml").is_file());
    root.map(Path::to_owned).context("there is no project in this directory or in one of its parents")
}

/// Returns a `cargo` command.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns a command without Cargo's variables about this program, which make Cargo rerun some build scripts.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
        command.env_remove(name);
    }
    command
}
