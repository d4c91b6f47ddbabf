//! What a data directory tells about the server in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::process;

/// A process id that no system gives out.
const NOBODY: &str = "2147483647";

/// PostgreSQL's data directory.
#[derive(Debug)]
pub(super) struct DataDir(PathBuf);

impl DataDir {
    pub(super) fn new(home: &Path) -> Self {
        DataDir(home.join("data"))
    }

    /// The major version that made it, if it is there.
    pub(super) fn major(&self) -> Option<u32> {
        let version = fs::read_to_string(self.0.join("PG_VERSION")).ok()?;
        version.trim().parse().ok()
    }

    /// The port of the server that is ready in it.
    pub(super) fn port(&self) -> Option<u16> {
        let pid = self.pid()?;
        let port = self.pid_file()?.lines().nth(3)?.trim().parse().ok()?;
        self.is_ready(pid).then_some(port)
    }

    /// Whether this process is a server that takes connections.
    pub(super) fn is_ready(&self, pid: u32) -> bool {
        let status = || Some(self.pid_file()?.lines().nth(7)?.trim() == "ready");
        self.pid() == Some(pid) && status().unwrap_or(false)
    }

    /// The server that uses this directory although nobody keeps it any more.
    pub(super) fn orphan(&self) -> Option<u32> {
        let pid = self.pid()?;
        self.belongs_to(pid).then_some(pid)
    }

    /// After a power cut the file that names the server's process may be left, and the number may by
    /// now be another process's: PostgreSQL would not start. That number is written over. The rest
    /// stays, because from it PostgreSQL sees whether parts of a dead server still use the data.
    pub(super) fn forget_reused_pid(&self) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        if !process::is_running(pid) || self.belongs_to(pid) {
            return Ok(());
        }
        let text = self.pid_file().unwrap_or_default();
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(self.pid_path(), format!("{NOBODY}\n{rest}"))
            .context("cannot write over a stale postmaster.pid")
    }

    fn belongs_to(&self, pid: u32) -> bool {
        let command = format!("/postgres -D {} ", self.0.display());
        process::is_running(pid) && process::command_line(pid).contains(&command)
    }

    fn pid(&self) -> Option<u32> {
        self.pid_file()?.lines().next()?.trim().parse().ok()
    }

    fn pid_file(&self) -> Option<String> {
        fs::read_to_string(self.pid_path()).ok()
    }

    fn pid_path(&self) -> PathBuf {
        self.0.join("postmaster.pid")
    }
}
