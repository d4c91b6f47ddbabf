//! `cargo dev lab`: runs the `lab` package.

use std::{os::unix::process::CommandExt, path::Path};

use anyhow::{Context, Result, ensure};
use dev::cargo;

/// Replaces this process with the lab's program.
pub fn run(arguments: &[&str]) -> Result<()> {
    ensure!(Path::new("lab").exists(), "this copy has no lab/");
    let mut lab = cargo();
    Err(lab.args(["run", "--quiet", "--package", "lab", "--"]).args(arguments).exec())
        .context("can't run cargo")
}
