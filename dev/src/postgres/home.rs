//! A server's directory, with its data, log and password.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{io, io::Read, os::fd::OwnedFd};

use anyhow::{Context, Result};

/// Removes a directory in the background when standard input closes. Retries while the server's last processes are
/// still writing.
const REMOVE: &str =
    r#"exec 3<&0; { read -r _ <&3; for _ in 1 2 3; do rm -rf "$0" && exit; sleep 1; done; } &"#;

/// A directory that no other process uses.
#[derive(Debug)]
pub struct Home {
    pub path: PathBuf,
    /// A file that locks the directory, or a pipe that delays its removal. The server's keeper also holds it, so
    /// it stays open until both this process and the server have exited.
    pub guard: OwnedFd,
    pub(crate) is_temporary: bool,
}

impl Home {
    /// Creates a directory that is removed after its server has stopped.
    pub fn temporary(program: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{program}-{}", random()));
        // Starts the remover first, so that nothing is left behind if this process is killed at this point.
        let (closes, guard) = io::pipe()?;
        let mut remover = Command::new("/bin/sh");
        remover.args(["-c", REMOVE]).arg(&path).stdin(closes).stdout(Stdio::null()).process_group(0);
        remover.status().context("can't start /bin/sh")?;
        fs::create_dir(&path).context("can't create a temporary directory")?;
        Home { path, guard: guard.into(), is_temporary: true }.prepare()
    }

    /// Locks a directory. Creates it if it doesn't exist.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().context("another process is using it")?;
        Home { path, guard: lock.into(), is_temporary: false }.prepare()
    }

    fn prepare(self) -> Result<Self> {
        // Keeps other accounts from reading the password and the data.
        fs::set_permissions(&self.path, Permissions::from_mode(0o700))?;
        fs::write(self.path.join("log"), "")?;
        if !self.path.join("data").exists() {
            fs::write(self.path.join("password"), random())?;
        }
        Ok(self)
    }

    /// Returns the end of the server's log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.path.join("log")).unwrap_or_default();
        let lines = log.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// Returns 32 random hexadecimal digits.
pub(crate) fn random() -> String {
    let mut bytes = [0; 16];
    let mut device = File::open("/dev/urandom").expect("a device");
    device.read_exact(&mut bytes).expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the process ID and port of the server that runs in `home`, if it accepts connections.
pub fn running(home: &Path) -> Option<(u32, u16)> {
    let file = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    let lines = file.lines().map(str::trim).collect::<Vec<_>>();
    // The ignored lines are the data directory, start time, socket directory, address and shared memory.
    let [pid, _, _, port, _, _, _, "ready"] = lines[..] else { return None };
    Some((pid.parse().ok()?, port.parse().ok()?))
}

/// Returns the password of the server in `home`.
pub(super) fn password(home: &Path) -> String {
    fs::read_to_string(home.join("password")).expect("the server's password")
}

/// Returns a command for a program such as `psql`, whose environment makes it connect to the `postgres` database of the
/// server in `home`. Other users can see a program's arguments, but not its environment.
pub fn client(program: PathBuf, home: &Path, port: u16) -> Command {
    let mut client = Command::new(program);
    client.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string());
    client.env("PGUSER", "postgres").env("PGPASSWORD", password(home)).env("PGDATABASE", "postgres");
    client.env_remove("PGSERVICE").env_remove("PGSSLMODE");
    client
}
