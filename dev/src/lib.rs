//! The private PostgreSQL server behind `cargo dev` and `cargo test`. `main.rs` is the `cargo dev` program.

#![forbid(unsafe_code)]

mod kept;
pub mod postgres;
pub mod process;
mod test_server;

use std::path::{Path, PathBuf};
use std::{env, ffi::OsStr, process::Command};

use anyhow::{Context, Result};

pub use kept::Kept;
pub use postgres::{Home, Postgres};
pub use test_server::{TestServer, test_database_server};

/// Returns the project's root: the nearest directory with a `dev/Cargo.toml`, starting at the current
/// directory and going up.
///
/// The path isn't compiled in, because two checkouts may share a target directory and therefore this program.
pub fn project() -> Result<PathBuf> {
    let here = env::current_dir().context("can't find the current directory")?;
    let root = here.ancestors().find(|directory| directory.join("dev/Cargo.toml").is_file());
    root.map(Path::to_owned).context("there is no project in this directory or in one of its parents")
}

/// Returns a `cargo` command.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns a command without the variables that Cargo set for this program, which would make Cargo rerun some
/// build scripts.
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
