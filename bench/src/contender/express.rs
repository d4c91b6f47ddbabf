//! Express with express-session and connect-pg-simple, where there is Node.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use super::{Contender, Fill, Place, Program, VISITORS, seed};
use crate::database::Database;

const ABOUT: &str = "Express, express-session, connect-pg-simple on one Node process, NODE_ENV=production";

/// Installs its packages, as its lock file has them, and starts it.
pub fn start(place: &Place, database: &Database, sessions: usize) -> Result<Contender> {
    let node = Command::new("sh").args(["-c", "command -v node"]).output()?;
    let node = String::from_utf8(node.stdout)?.trim().to_owned();
    ensure!(!node.is_empty(), "no Node.js (`node`) on the PATH");

    let home = place.target.join("peers/express");
    fs::create_dir_all(&home)?;
    for file in ["app.js", "package.json", "package-lock.json"] {
        fs::copy(place.project.join("bench/peers/express").join(file), home.join(file))?;
    }
    eprintln!("installing the packages of the Express peer");
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&home)
        .output()
        .context("no `npm` on the PATH")?;
    ensure!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr).trim());

    let mut program = Program::new(
        node.into(),
        "/",
        &[("NODE_ENV", "production"), ("SESSION_SECRET", &"measured ".repeat(8))],
    );
    program.arguments = vec![home.join("app.js").to_string_lossy().into_owned()];
    let fill = Fill { visitors: VISITORS, sql: Some(seed::EXPRESS), sessions };
    Contender::server("express", ABOUT, program, place, database, fill)
}
