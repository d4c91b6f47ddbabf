//! The commands. They run in the project's root.

pub mod rename;
pub mod run;
#[cfg(test)] // accounts, demo
mod tests; // accounts, demo
pub mod without; // accounts, demo

use std::os::unix::process::CommandExt;
use std::{collections::BTreeSet, fs, fs::File, path::Path, process::Command, time::SystemTime};

use anyhow::{Context, Result, ensure};
use dev::postgres::{client, programs, running};
use dev::{Postgres, cargo};

const NO_BROWSER: &str = "the browser tests failed. They need Chromium and chromedriver:
  Debian   apt install chromium chromium-driver
  Ubuntu   apt install chromium-browser chromium-chromedriver
  Fedora   dnf install chromium chromedriver
  macOS    brew install --cask google-chrome chromedriver";

/// Runs the browser tests.
pub fn browser(arguments: &[&str]) -> Result<()> {
    // With --package, Cargo would build the dependencies again, with fewer features.
    succeed(cargo().args(["test", "--workspace", "--test", "browser"]).args(arguments), NO_BROWSER)
}

/// Replaces this process with psql in `directory`, connected to the database of `cargo dev`.
pub fn psql(arguments: &[&str], directory: &Path) -> Result<()> {
    let home = Path::new(".postgres");
    let (_, port) = running(home).context("start `cargo dev` first")?;
    let mut psql = client(programs()?.join("psql"), home, port);
    Err(psql.args(arguments).current_dir(directory).exec()).context("can't run psql: is it installed?")
}

/// Updates `.sqlx` like `cargo sqlx prepare`. With `check`, changes nothing, and fails if it is outdated.
pub fn prepare(check: bool) -> Result<()> {
    let fresh = "target/sqlx-prepare";
    let postgres = Postgres::temporary(&[])?;
    run_sql(&postgres, "migrations")?;
    let _ = fs::remove_dir_all(fresh);
    fs::create_dir_all(fresh)?;
    // Makes Cargo compile the library, which has all of the checked queries, even if it hasn't changed.
    File::options().append(true).open("src/lib.rs")?.set_modified(SystemTime::now())?;
    let mut build = cargo();
    build.args(["build", "--lib"]).env("DATABASE_URL", postgres.url("postgres"));
    build.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fs::canonicalize(fresh)?);
    succeed(&mut build, "the app doesn't compile")?;
    if check {
        let problem = ".sqlx is out of date: run `cargo dev prepare` and commit the result";
        return succeed(Command::new("diff").args(["--recursive", "--brief", ".sqlx", fresh]), problem);
    }
    let _ = fs::remove_dir_all(".sqlx");
    fs::rename(fresh, ".sqlx").context("can't write .sqlx")
}

// demo: begin
/// Replaces this process with the lab's program.
pub fn lab(arguments: &[&str]) -> Result<()> {
    ensure!(Path::new("lab").exists(), "this copy has no lab/");
    Err(cargo().args(["run", "--quiet", "--package", "lab", "--"]).args(arguments).exec().into())
}
// demo: end

/// Runs a command and waits for it. If it fails, returns `problem` as the error.
fn succeed(command: &mut Command, problem: &'static str) -> Result<()> {
    let status = command.status().with_context(|| format!("can't run {:?}", command.get_program()))?;
    ensure!(status.success(), problem);
    Ok(())
}

/// Runs a program and returns what it prints.
fn output(program: &mut Command) -> Result<String> {
    let name = program.get_program().to_owned();
    let output = program.output().with_context(|| format!("can't run {name:?}: is it installed?"))?;
    ensure!(output.status.success(), "{name:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the SQL files in a directory in order of their names, and returns their output.
fn run_sql(postgres: &Postgres, directory: &str) -> Result<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = files.map(|file| file.path()).collect::<BTreeSet<_>>();
    let mut psql = postgres.client("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    output(psql.args(files.iter().flat_map(|file| ["--file".as_ref(), file.as_os_str()])))
}

/// Returns the path and text of each UTF-8 file in the repository. Fails if there are uncommitted changes.
fn committed_files() -> Result<Vec<(String, String)>> {
    let changes = output(Command::new("git").args(["status", "--porcelain"]))?;
    ensure!(changes.is_empty(), "commit your changes first, so that you can undo this:\n{changes}");
    let paths = output(Command::new("git").args(["ls-files", "-z"]))?;
    let files = paths.split_terminator('\0');
    Ok(files.filter_map(|path| Some((path.to_owned(), fs::read_to_string(path).ok()?))).collect())
}
