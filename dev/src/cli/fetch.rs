//! `cargo dev fetch`: get PostgreSQL without a package manager.

use std::{sync::atomic::Ordering, thread, time::Duration};

use anyhow::{Result, ensure};
use dev::Kept;

use super::{cargo, end_requested};

/// Runs the package `fetch`, which has too many dependencies to be part of this one.
pub fn fetch() -> Result<()> {
    let end = end_requested()?;
    let mut program = cargo();
    program.args(["run", "--quiet", "--package", "fetch"]);
    let mut program = Kept::spawn(&program)?;
    loop {
        if let Some(status) = program.try_wait()? {
            ensure!(status.success(), "the download of PostgreSQL failed");
            return Ok(());
        }
        ensure!(!end.load(Ordering::Relaxed), "interrupted");
        thread::sleep(Duration::from_millis(50));
    }
}
