//! `cargo dev prepare`: the data in `.sqlx`, against which builds without a database check the queries.
//!
//! The same as `cargo sqlx prepare`, without sqlx-cli: the macros of sqlx write that data themselves
//! when they are given a live database and `SQLX_OFFLINE_DIR`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use dev::{Kept, Postgres};

use super::{APP, cargo, end_requested, project};

/// File names and contents.
type Queries = BTreeMap<String, Vec<u8>>;

/// Makes `.sqlx` what the queries in the source need, no more and no less.
pub fn renew() -> Result<()> {
    let fresh = describe_queries()?;
    let place = project().join(".sqlx");
    let old = read(&place)?;
    fs::create_dir_all(&place)?;
    for name in old.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(place.join(name))?;
    }
    for (name, data) in &fresh {
        if old.get(name) != Some(data) {
            fs::write(place.join(name), data)?;
        }
    }
    eprintln!(".sqlx holds {} queries", fresh.len());
    Ok(())
}

/// Fails where [`renew`] would change anything.
pub fn check() -> Result<()> {
    let fresh = describe_queries()?;
    let old = read(&project().join(".sqlx"))?;
    let mut differing = fresh
        .iter()
        .filter(|(name, data)| old.get(*name) != Some(data))
        .map(|(name, _)| name)
        .chain(old.keys().filter(|name| !fresh.contains_key(*name)))
        .map(String::as_str)
        .collect::<Vec<_>>();
    differing.sort_unstable();
    ensure!(
        differing.is_empty(),
        ".sqlx is not fresh: run `cargo dev prepare` and commit the outcome. Missing, changed or stale:\n  {}",
        differing.join("\n  ")
    );
    eprintln!(".sqlx is fresh ({} queries)", fresh.len());
    Ok(())
}

/// Compiles the app with a migrated database behind the macros.
fn describe_queries() -> Result<Queries> {
    let end = end_requested()?;
    let postgres = Postgres::temporary()?;
    for migration in migrations()? {
        apply(&postgres, &migration)?;
    }
    let place = project().join("target/sqlx-prepare");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    // What cargo takes for fresh it does not compile, and everything of the app depends on its library.
    File::options().append(true).open(project().join("src/lib.rs"))?.set_modified(SystemTime::now())?;
    let mut compile = cargo();
    compile
        .args(["check", "--all-targets", "--package", APP])
        .env("DATABASE_URL", postgres.url("postgres"))
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &place);
    let mut compile = Kept::spawn(&compile)?;
    loop {
        if let Some(status) = compile.try_wait()? {
            ensure!(status.success(), "the app does not compile");
            return read(&place);
        }
        ensure!(!end.load(Ordering::Relaxed), "interrupted");
        thread::sleep(Duration::from_millis(50));
    }
}

/// In the order of their numbers, as sqlx applies them.
fn migrations() -> Result<Vec<PathBuf>> {
    let place = project().join("migrations");
    let mut found = Vec::new();
    for entry in fs::read_dir(&place).context("cannot read migrations/")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.split('_').next().and_then(|n| n.parse::<i64>().ok());
        if let Some(number) = number.filter(|_| name.ends_with(".sql") && !name.ends_with(".down.sql")) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn apply(postgres: &Postgres, migration: &Path) -> Result<()> {
    let output = postgres
        .client("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"])
        .arg("--file")
        .arg(migration)
        .output()
        .context("cannot run psql")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn read(place: &Path) -> Result<Queries> {
    let mut queries = Queries::new();
    if !place.exists() {
        return Ok(queries);
    }
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            queries.insert(name.into_owned(), fs::read(&path)?);
        }
    }
    Ok(queries)
}
