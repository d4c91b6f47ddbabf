//! The commands, and the functions that they share.

pub mod browser;
pub mod prepare;
pub mod rename;
pub mod run;

use std::os::unix::process::CommandExt;
use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use dev::postgres::{Installation, running};

/// The root of the workspace, where the app is.
fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("")
}

/// Returns a `cargo` command that runs in the project.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo set these for this program. They would make some build scripts run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    cargo.current_dir(project());
    cargo
}

/// Replaces this process with psql, connected to the database of `cargo dev`.
pub fn psql(arguments: &[&str]) -> Result<()> {
    let address = running(&project().join(".postgres")).context("start `cargo dev` first")?;
    let mut psql = address.client(Installation::find()?.bin("psql"));
    Err(psql.args(arguments).exec()).context("can't run psql: is it installed?")
}
