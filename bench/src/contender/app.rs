//! The app itself, in release mode.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Contender, Fill, Place, Program, VISITORS, seed};
use crate::database::Database;

/// Without a line for each request, as the peers have none.
pub const QUIET: &str = "warn";

/// The app's own default: two lines a visit.
pub const TALKATIVE: &str = "info";

/// Builds the app in release mode; gives the file.
pub fn build(place: &Place) -> Result<PathBuf> {
    eprintln!("building the app in release mode (the first time takes minutes)");
    cargo_build(&place.project, &place.target, &["--package", "actix-postgres-sessions"])?;
    Ok(place.target.join("release/actix-postgres-sessions"))
}

/// Builds a package in release mode, of whatever workspace.
pub fn cargo_build(workspace: &Path, target: &Path, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        // What cargo told about this package: some build scripts would run again for it.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--locked", "--release", "--target-dir"])
        .arg(target)
        .args(arguments)
        .status()
        .context("can't start cargo")?;
    ensure!(status.success(), "cargo could not build it");
    Ok(())
}

/// So many sessions, and among them those of our visitors.
pub fn fill(sessions: usize) -> Fill {
    Fill { visitors: VISITORS, sql: Some(seed::APP), sessions }
}

/// Starts one build of the app.
pub fn start(
    name: &str,
    file: &Path,
    log_level: &str,
    environment: &[(String, String)],
    place: &Place,
    database: &Database,
    fill: Fill,
) -> Result<Contender> {
    let mut program = program(file, log_level);
    program.environment.extend_from_slice(environment);
    let about = match log_level {
        QUIET => format!("{}, RUST_LOG={log_level}", which(file, place)),
        _ => format!("the same with its log on, RUST_LOG={log_level}, into a file"),
    };
    Contender::server(name, &about, program, place, database, fill)
}

fn which(file: &Path, place: &Place) -> String {
    match file.starts_with(&place.target) {
        true => "this app".to_owned(),
        false => format!("this app, the build {}", file.display()),
    }
}

/// How a build of the app is started.
pub fn program(file: &Path, log_level: &str) -> Program {
    Program::new(
        file.to_owned(),
        "/health/ready",
        &[
            ("COOKIE_SECURE", "false"),
            ("RUST_LOG", log_level),
            // All our visitors come from one address.
            ("NEW_SESSIONS_PER_MINUTE", "0"),
            // Of no use to anybody: it lives as long as the measurement, and on this machine alone.
            ("SESSION_SECRET", &"measured ".repeat(8)),
        ],
    )
}
