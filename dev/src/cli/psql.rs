//! `cargo dev psql`: a shell on the database of `cargo dev`, which may run or not.

use std::{
    os::unix::process::CommandExt,
    process::exit,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result};
use dev::postgres::Installation;
use signal_hook::{consts::SIGINT, flag};

use super::database;

/// Becomes psql where the server runs already; else runs psql, and the server as long as that.
pub fn psql(arguments: &[&str]) -> Result<()> {
    match database()? {
        Err(in_use) => {
            let address = in_use.address.context("the database is just starting or stopping: try again")?;
            let program = Installation::find()?.bin("psql");
            let error = address.client(program).args(arguments).exec();
            Err(error).context("cannot run psql")
        }
        Ok(postgres) => {
            // Ctrl-C is psql's, where it cancels a query.
            flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
            let status = postgres.client("psql").args(arguments).status().context("cannot run psql")?;
            drop(postgres);
            exit(status.code().unwrap_or(1))
        }
    }
}
