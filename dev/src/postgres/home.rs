//! A server's directory, with its data, log and password.

use std::fs::{self, File, Permissions};
use std::os::unix::{fs::PermissionsExt, process::CommandExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{io, io::Read, os::fd::OwnedFd};

use anyhow::{Context, Result};

/// Removes a directory when standard input closes. Retries while the server's last processes are still writing.
const REMOVE: &str = r#"exec 3<&0; { read _ <&3; for _ in 1 2 3; do rm -rf "$0" && exit; sleep 1; done; } &"#;

/// A directory that no other process uses.
#[derive(Debug)]
pub struct Home {
    pub path: PathBuf,
    /// The directory's lock, or a pipe that delays its removal. The server's shell holds a copy until it exits.
    pub guard: OwnedFd,
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
        Home { path, guard: guard.into() }.prepare()
    }

    /// Locks a directory. Creates it if it doesn't exist.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().context("another process is using it")?;
        Home { path, guard: lock.into() }.prepare()
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
}

/// Returns 32 random hexadecimal digits.
pub fn random() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut device| device.read_exact(&mut bytes)).expect("random bytes");
    format!("{:032x}", u128::from_ne_bytes(bytes))
}

/// Returns the process ID and port of the server that runs in `home`, if it accepts connections.
pub fn running(home: &Path) -> Option<(u32, u16)> {
    let file = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
    let lines = file.lines().map(str::trim).collect::<Vec<_>>();
    let [pid, _data, _start, port, _sockets, _address, _memory, "ready"] = lines[..] else { return None };
    Some((pid.parse().ok()?, port.parse().ok()?))
}

/// Returns a client of this server, such as psql. Other users can't see the password in its environment.
pub fn client(program: PathBuf, home: &Path, port: u16) -> Command {
    let password = fs::read_to_string(home.join("password")).expect("the server's password");
    let mut client = Command::new(program);
    client.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string());
    client.env("PGUSER", "postgres").env("PGPASSWORD", password).env("PGDATABASE", "postgres");
    client.env_remove("PGSERVICE").env_remove("PGSSLMODE");
    client
}
