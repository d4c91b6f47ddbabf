//! A server's directory, with its data, log and password, and how to connect to the server.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fmt, io::Read, os::fd::OwnedFd};

use anyhow::{Context, Result, anyhow};

use crate::process;

/// Removes a directory when standard input closes. Retries while the server's last processes are still writing.
const REMOVE: &str = r#"read -r _; for _ in 1 2 3; do rm -rf "$0" && exit; sleep 1; done"#;

/// A directory that no other process uses.
#[derive(Debug)]
pub struct Home {
    pub path: PathBuf,
    /// A locked file or a pipe, which the server's keeper also holds. It keeps the directory locked, or keeps
    /// it from being removed, until both this process and the server have exited. Dropped before `remover`.
    pub guard: OwnedFd,
    pub(crate) remover: Option<Remover>,
}

/// The shell that removes a temporary directory.
#[derive(Debug)]
pub struct Remover(Child);

impl Drop for Remover {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

impl Home {
    /// Creates a directory that is removed after its server has stopped.
    pub fn temporary(program: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{program}-{}", random()?));
        // Starts before the directory exists, so that nothing is left behind if this process is killed here.
        let mut remover = Command::new("/bin/sh");
        remover.args(["-c", REMOVE]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut remover = remover.spawn().context("can't start /bin/sh")?;
        let guard = remover.stdin.take().context("standard input is a pipe")?.into();
        let home = Home { path, guard, remover: Some(Remover(remover)) };
        DirBuilder::new().mode(0o700).create(&home.path).context("can't create a temporary directory")?;
        home.prepare()
    }

    /// Locks a directory. Creates it if it doesn't exist.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let problem = || format!("can't keep a database in {}", path.display());
        fs::create_dir_all(path).with_context(problem)?;
        let path = path.canonicalize().with_context(problem)?;
        let lock = File::create(path.join("lock")).with_context(problem)?;
        match lock.try_lock() {
            Ok(()) => Home { path, guard: lock.into(), remover: None }.prepare(),
            Err(TryLockError::WouldBlock) => Err(anyhow!(InUse)),
            Err(TryLockError::Error(error)) => Err(error).with_context(problem),
        }
    }

    fn prepare(self) -> Result<Self> {
        // Keeps other accounts from reading the password and the data.
        fs::set_permissions(&self.path, Permissions::from_mode(0o700))?;
        fs::write(self.path.join("log"), "")?;
        if !self.path.join("data").exists() {
            fs::write(self.path.join("password"), random()?)?;
        }
        Ok(self)
    }

    /// Returns whether the process `pid` is a server that accepts connections to this data.
    pub(crate) fn is_ready(&self, pid: u32) -> bool {
        pid_file(&self.path).is_some_and(|file| file[0] == pid.to_string() && file[7] == "ready")
    }

    /// Returns the process ID of a server that is still using the data because its keeper was killed.
    pub(crate) fn orphan(&self) -> Option<u32> {
        let pid = pid_file(&self.path)?.swap_remove(0);
        let command = format!("/postgres -D {} ", self.path.join("data").display());
        process::ps(&["-ww", "-o", "args=", "-p", &pid]).contains(&command).then(|| pid.parse().ok())?
    }

    /// Returns the end of the server's log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.path.join("log")).unwrap_or_default();
        let lines = log.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// Returns how to connect to the server that runs in `home`, if there is one.
pub fn running(home: &Path) -> Option<Address> {
    let file = pid_file(home).filter(|file| file[7] == "ready")?;
    let password = fs::read_to_string(home.join("password")).ok()?;
    Some(Address { port: file[3].parse().ok()?, password })
}

/// Returns PostgreSQL's description of the running server. The lines are the process ID, data directory,
/// start time, port, socket directory, address, shared memory and status.
fn pid_file(home: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    let lines = text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    (lines.len() >= 8).then_some(lines)
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The port and password of a server on 127.0.0.1. The user is `postgres`.
pub struct Address {
    pub(super) port: u16,
    pub(super) password: String,
}

impl Address {
    /// Returns the URL of a database, including the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Returns a command for a program such as `psql`, whose environment makes it connect to the `postgres`
    /// database. Other users can see a program's arguments, but not its environment.
    pub fn client(&self, program: PathBuf) -> Command {
        let mut client = Command::new(program);
        client.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string());
        client.env("PGUSER", "postgres").env("PGPASSWORD", &self.password).env("PGDATABASE", "postgres");
        client.env_remove("PGSERVICE").env_remove("PGSSLMODE");
        client
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "127.0.0.1:{}", self.port)
    }
}

/// Another process is running a server in the same directory.
#[derive(Debug)]
pub struct InUse;

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database is in use, most likely by another `cargo dev`")
    }
}
