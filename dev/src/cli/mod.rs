//! The commands. Except for `psql`, they run in the root of the project.

pub mod browser;
pub mod lab;
pub mod prepare;
pub mod rename;
pub mod run;

use std::{os::unix::process::CommandExt, path::Path};

use anyhow::{Context, Result};
use dev::postgres::{Installation, running};

/// Replaces this process with psql, connected to the database that `cargo dev` keeps in `home`.
pub fn psql(home: &Path, arguments: &[&str]) -> Result<()> {
    let address = running(home).context("start `cargo dev` first")?;
    let mut psql = address.client(Installation::find()?.bin("psql"));
    Err(psql.args(arguments).exec()).context("can't run psql: is it installed?")
}
