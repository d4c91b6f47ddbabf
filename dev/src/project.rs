//! Finds the project, and runs Cargo.

use std::path::{Path, PathBuf};
use std::{env, ffi::OsStr, process::Command};

use anyhow::{Context, Result};

/// Returns the root of the project: the nearest directory with a `dev/Cargo.toml`, from the current one upwards.
///
/// The path isn't compiled in, because two checkouts may share a target directory and therefore this program.
pub fn project() -> Result<PathBuf> {
    let here = env::current_dir().context("can't find the current directory")?;
    let root = here.ancestors().find(|directory| directory.join("dev/Cargo.toml").is_file());
    root.map(Path::to_owned).context("there is no project here or in a directory above")
}

/// Returns a `cargo` command.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns a command without the variables that Cargo has set for this program. With them, Cargo would run some build
/// scripts again.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}
