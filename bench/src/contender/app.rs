//! The app in release mode.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Contender, SECRET, cargo_build};
use crate::run::Bench;

/// The psql script that adds sessions to the app's tables.
pub const SEED: &str = include_str!("../../sql/app.sql");

/// The name of the build of `--compare`.
pub const OTHER_BUILD: &str = "other build";

/// Builds the app and returns its path.
pub fn build(bench: &Bench) -> Result<PathBuf> {
    eprintln!("building the app in release mode (the first time takes minutes)");
    cargo_build(&bench.project, &bench.target, &[])
}

/// Starts a build of the app with a log level and other settings.
pub fn start(
    bench: &Bench,
    name: &str,
    file: &Path,
    log: &str,
    environment: &[(String, String)],
) -> Result<Contender> {
    eprintln!("preparing {name}");
    let mut program = Command::new(file);
    program.env("COOKIE_SECURE", "false").env("SESSION_SECRET", SECRET).env("RUST_LOG", log);
    // All visitors come from one address.
    program.env("NEW_SESSIONS_PER_MINUTE", "0");
    program.envs(environment.iter().map(|(name, value)| (name, value)));
    let about = match name == OTHER_BUILD {
        true => format!("the app as built in {}, RUST_LOG={log}", file.display()),
        false => format!("this app, RUST_LOG={log}"),
    };
    Contender::server(bench, (name, &about), program, "/health/ready", Some(SEED))
}
