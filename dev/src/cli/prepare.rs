//! `cargo dev prepare`: writes `.sqlx`, so that builds can check the SQL without a database.

use std::fs::{self, File};
use std::{path::PathBuf, process::Command, time::SystemTime};

use anyhow::{Context, Result, ensure};
use dev::Postgres;

use super::{cargo, project};

/// Updates `.sqlx`, as `cargo sqlx prepare` would.
pub fn renew() -> Result<()> {
    let (fresh, committed) = (describe_queries()?, project().join(".sqlx"));
    let _ = fs::remove_dir_all(&committed);
    fs::rename(fresh, committed).context("can't write .sqlx")
}

/// Fails if [`renew`] would change anything.
pub fn check() -> Result<()> {
    let mut diff = Command::new("diff");
    diff.args(["--recursive", "--brief", ".sqlx"]).arg(describe_queries()?).current_dir(project());
    let is_fresh = diff.status().context("can't run diff")?.success();
    ensure!(is_fresh, ".sqlx is out of date: run `cargo dev prepare` and commit the result");
    Ok(())
}

/// Compiles the app against a migrated database. Returns the directory that sqlx's macros write to.
fn describe_queries() -> Result<PathBuf> {
    let postgres = Postgres::temporary()?;
    let migrations = fs::read_dir(project().join("migrations")).context("can't read migrations/")?;
    let mut migrations = migrations.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    migrations.sort();
    let mut psql = postgres.client("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    psql.args(migrations.iter().flat_map(|file| ["--file".as_ref(), file.as_os_str()]));
    ensure!(psql.status().context("can't run psql: is it installed?")?.success(), "a migration failed");

    let fresh = project().join("target/sqlx-prepare");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh)?;
    // Makes Cargo compile the app again, because it only compiles what has changed.
    File::options().append(true).open(project().join("src/lib.rs"))?.set_modified(SystemTime::now())?;
    let mut check = cargo();
    check.args(["check", "--all-targets"]).env("DATABASE_URL", postgres.url("postgres"));
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &fresh);
    ensure!(check.status().context("can't run cargo")?.success(), "the app doesn't compile");
    Ok(fresh)
}
