//! The commands. All except `psql` run in the project's root.

pub mod browser;
pub mod prepare;
pub mod rename;
pub mod run;
pub mod without; // accounts, demo

use std::{os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dev::{
    cargo,
    postgres::{Installation, running},
};

/// Replaces this process with psql, connected to the database that `cargo dev` keeps in `home`.
pub fn psql(home: &Path, arguments: &[&str]) -> Result<()> {
    let address = running(home).context("start `cargo dev` first")?;
    let mut psql = address.client(Installation::find()?.bin("psql"));
    Err(psql.args(arguments).exec()).context("can't run psql: is it installed?")
}

// demo: begin
/// Replaces this process with the lab's program.
pub fn lab(arguments: &[&str]) -> Result<()> {
    ensure!(Path::new("lab").exists(), "this copy has no lab/");
    let mut lab = cargo();
    Err(lab.args(["run", "--quiet", "--package", "lab", "--"]).args(arguments).exec())
        .context("can't run cargo")
}
// demo: end

/// Formats all code if rustfmt is installed.
fn format() {
    let _ = cargo().args(["fmt", "--all"]).status();
}

/// Runs Git and returns what it prints.
fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).output().context("can't run git")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {problem}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
