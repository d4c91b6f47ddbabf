//! `cargo dev prepare`: writes `.sqlx`, so that builds can check the SQL without a database.

use std::fs::{self, File};
use std::{process::Command, time::SystemTime};

use anyhow::{Context, Result, ensure};
use dev::{Postgres, cargo};

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
    let diff = Command::new("diff").args(["--recursive", "--brief", ".sqlx", FRESH]).status();
    let is_fresh = diff.context("can't run diff")?.success();
    ensure!(is_fresh, ".sqlx is out of date: run `cargo dev prepare` and commit the result");
    Ok(())
}

/// Compiles the app's library against a migrated database, which makes sqlx's macros write to [`FRESH`].
/// Nothing else contains checked queries.
fn describe_queries() -> Result<()> {
    let postgres = Postgres::temporary()?;
    let migrations = fs::read_dir("migrations").context("can't read migrations/")?;
    let mut migrations = migrations.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    migrations.sort();
    let mut psql = postgres.client("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    psql.args(migrations.iter().flat_map(|file| ["--file".as_ref(), file.as_os_str()]));
    ensure!(psql.status().context("can't run psql: is it installed?")?.success(), "a migration failed");

    let _ = fs::remove_dir_all(FRESH);
    fs::create_dir_all(FRESH)?;
    // Cargo compiles only what has changed. This makes it compile the library again.
    let library = File::options().append(true).open("src/lib.rs")?;
    let modified = library.metadata()?.modified()?;
    library.set_modified(SystemTime::now())?;
    let mut build = cargo();
    build.args(["build", "--lib"]).env("DATABASE_URL", postgres.url("postgres"));
    build.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fs::canonicalize(FRESH)?);
    let status = build.status().context("can't run cargo")?;
    library.set_modified(modified)?;
    ensure!(status.success(), "the app doesn't compile");
    Ok(())
}
