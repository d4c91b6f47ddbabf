//! The directory of a server whose data is kept: one process at a time has it; and its log.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{account::Account, address::Address, data_dir::DataDir};

/// Whether another process keeps a server in `home`.
pub fn is_in_use(home: &Path) -> bool {
    File::open(home.join("lock")).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Another process keeps a server in the same directory.
#[derive(Debug)]
pub struct InUse {
    /// Where that server is, once it is ready.
    pub address: Option<Address>,
}

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database of this directory is in use")
    }
}

impl std::error::Error for InUse {}

/// Makes the home of a server, if need be, and locks it for us.
pub(super) fn take(home: &Path) -> Result<(PathBuf, File)> {
    let problem = || format!("cannot keep a database in {}", home.display());
    let account = Account::of_server(Some(home))?;
    DirBuilder::new().recursive(true).mode(0o700).create(home).with_context(problem)?;
    let home = fs::canonicalize(home).with_context(problem)?;
    account.adopt(&home)?;
    let lock_path = home.join("lock");
    let lock = File::create(&lock_path).with_context(problem)?;
    account.adopt(&lock_path)?;
    match lock.try_lock() {
        Ok(()) => Ok((home, lock)),
        Err(TryLockError::Error(error)) => Err(error).with_context(problem),
        Err(TryLockError::WouldBlock) => {
            let port = DataDir::new(&home).port();
            let address = port.and_then(|port| Address::new(&home, port).ok());
            Err(InUse { address }.into())
        }
    }
}

/// The end of the server's log.
pub(super) fn last_words(home: &Path) -> String {
    let log = fs::read(home.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines = log.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
