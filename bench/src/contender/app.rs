//! The app in release mode.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Contender, SECRET, cargo_build};
use crate::run::Bench;

/// The psql script that adds sessions to the app's tables.
const SEED: &str = include_str!("../../sql/app.sql");

/// The name of the build of `--compare`.
pub const OTHER_BUILD: &str = "other build";

/// Builds the app and returns its path.
pub fn build(bench: &Bench) -> Result<PathBuf> {
    eprintln!("building the app in release mode (the first time takes minutes)");
    cargo_build(&bench.project, &bench.target, &["--bins"])
}

/// Starts the two statements of a visit behind plain Actix.
pub async fn bound(bench: &Bench) -> Result<Contender> {
    let names = ("bound", "the app's two statements behind plain Actix, without a session layer");
    let file = cargo_build(&bench.project, &bench.target, &["--package", "bench", "--bin", "bound"])?;
    Contender::start(bench, names, Command::new(file), "/", Some(SEED)).await
}

/// Starts a build of the app with a log level and other settings.
pub async fn start(
    bench: &Bench,
    name: &str,
    file: &Path,
    log: &str,
    environment: &[(String, String)],
) -> Result<Contender> {
    let mut program = Command::new(file);
    program.env("COOKIE_SECURE", "false").env("SESSION_SECRET", SECRET).env("RUST_LOG", log);
    // All visitors come from one address.
    program.env("NEW_SESSIONS_PER_MINUTE", "0");
    program.envs(environment.iter().map(|(name, value)| (name, value)));
    let about = match name == OTHER_BUILD {
        true => format!("the app as built in {}, RUST_LOG={log}", file.display()),
        false => format!("this app, RUST_LOG={log}"),
    };
    Contender::start(bench, (name, &about), program, "/health/ready", Some(SEED)).await
}
