//! `cargo dev prepare`: writes `.sqlx`, so that builds can check the SQL without a database.

use std::fs::{self, File};
use std::{process::Command, time::SystemTime};

use anyhow::{Context, Result};
use dev::{Postgres, cargo};

use super::{run_sql, succeed};

/// Where sqlx's macros write their descriptions of the queries.
const FRESH: &str = "target/sqlx-prepare";

/// Updates `.sqlx`, as `cargo sqlx prepare` would.
pub fn renew() -> Result<()> {
    describe_queries()?;
    let _ = fs::remove_dir_all(".sqlx");
    fs::rename(FRESH, ".sqlx").context("can't write .sqlx")
}

/// Fails if [`renew`] would change anything.
pub fn check() -> Result<()> {
    describe_queries()?;
    let mut diff = Command::new("diff");
    let problem = ".sqlx is out of date: run `cargo dev prepare` and commit the result";
    succeed(diff.args(["--recursive", "--brief", ".sqlx", FRESH]), problem)
}

/// Compiles the app's library against a migrated database, so that sqlx's macros write to [`FRESH`].
/// Only the library has queries that are checked at compile time.
fn describe_queries() -> Result<()> {
    let postgres = Postgres::temporary()?;
    run_sql(&postgres, "migrations")?;
    let _ = fs::remove_dir_all(FRESH);
    fs::create_dir_all(FRESH)?;
    // A new modification time makes Cargo compile the library even if it hasn't changed.
    let library = File::options().append(true).open("src/lib.rs")?;
    let modified = library.metadata()?.modified()?;
    library.set_modified(SystemTime::now())?;
    let mut build = cargo();
    build.args(["build", "--lib"]).env("DATABASE_URL", postgres.url("postgres"));
    build.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fs::canonicalize(FRESH)?);
    let built = succeed(&mut build, "the app doesn't compile");
    library.set_modified(modified)?;
    built
}
