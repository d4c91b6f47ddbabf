//! The subcommands, a file each, and what they share: the project and its database.

pub mod fetch;
pub mod prepare;
pub mod psql;
pub mod run;
pub mod screenshots;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::Result;
use dev::{
    Postgres,
    postgres::{InUse, Installation},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// The package of the app.
const APP: &str = "actix-postgres-sessions";

/// The root of the workspace.
fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The home of the server that `cargo dev` keeps.
fn database_home() -> PathBuf {
    project().join(".postgres")
}

/// The cargo that runs us, in the project.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told about this package: some build scripts (ring's) would run again for it.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    cargo.current_dir(project());
    cargo
}

/// Starts the server that `cargo dev` keeps; downloads PostgreSQL first, if there is none.
///
/// `Err(InUse)` inside, where it runs already.
fn database() -> Result<Result<Postgres, InUse>> {
    if let Err(missing) = Installation::find()
        && let Err(error) = fetch::fetch()
    {
        eprintln!("cargo dev: {error:#}");
        return Err(missing);
    }
    match Postgres::start(&database_home(), &[]) {
        Ok(postgres) => Ok(Ok(postgres)),
        Err(error) => error.downcast().map(Err),
    }
}

/// Becomes true when we are asked to end. Who asks twice is not made to wait.
fn end_requested() -> Result<Arc<AtomicBool>> {
    let requested = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&requested))?;
        flag::register(signal, Arc::clone(&requested))?;
    }
    Ok(requested)
}
