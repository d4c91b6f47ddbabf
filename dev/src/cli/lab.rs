//! `cargo dev lab`: the package `lab`, which knows the rest.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dev::cargo;

/// Runs a part of the lab, or lists all parts.
pub fn run(arguments: &[&str]) -> Result<()> {
    ensure!(Path::new("lab").exists(), "this copy has no lab/");
    let mut lab = cargo();
    let status = lab.args(["run", "--quiet", "--package", "lab", "--"]).args(arguments).status();
    ensure!(status.context("can't run cargo")?.success(), "lab: failed");
    Ok(())
}
