//! A private PostgreSQL server that stops with this process.
//!
//! It listens on 127.0.0.1 only, on a port that the kernel chooses, and requires a random password.

mod download;
mod home;
mod installation;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{net::TcpListener, process::Command, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::{Kept, process};

use home::password;
pub(crate) use home::random;
pub use home::{Home, client, running};
pub use installation::programs;

/// The settings of temporary servers. Their data doesn't have to survive a power failure. It survives
/// [`Postgres::kill9`], because the operating system already has it.
const TEMPORARY: &str = "--fsync=off --full_page_writes=off --wal_level=minimal --max_wal_senders=0 \
    --shared_buffers=64MB --max_connections=200 --jit=off";

/// A running PostgreSQL server. It stops when this value is dropped, or when this process exits for any reason.
#[derive(Debug)]
pub struct Postgres {
    /// `None` while the server is stopped. Dropped before its directory.
    server: Option<Kept>,
    /// The last process's ID while the server is stopped.
    pid: u32,
    port: u16,
    home: Home,
    programs: PathBuf,
    arguments: Vec<String>,
}

impl Postgres {
    /// Starts an empty server that is tuned for tests. Its files are removed when it stops.
    ///
    /// # Errors
    /// Returns an error if no PostgreSQL is installed and none can be downloaded, or if it doesn't start.
    pub fn temporary() -> Result<Self> {
        Self::temporary_with(&[])
    }

    /// Starts a temporary server with settings such as `("max_connections", "10")`.
    pub fn temporary_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::launch(Home::temporary("postgres")?, settings)
    }

    /// Starts a server that keeps its data in `home`. The directory is created if it doesn't exist.
    ///
    /// # Errors
    /// Returns an error if another process is running a server there, and for the same reasons as
    /// [`Postgres::temporary`].
    pub fn start(home: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let problem = || format!("can't keep a database in {}", home.display());
        Self::launch(Home::lock(home).with_context(problem)?, settings)
    }

    fn launch(home: Home, settings: &[(&str, &str)]) -> Result<Self> {
        let always = ["--listen_addresses=127.0.0.1", "--unix_socket_directories="];
        let mut arguments = always.map(str::to_owned).to_vec();
        if home.is_temporary {
            arguments.extend(TEMPORARY.split(' ').map(str::to_owned));
        }
        arguments.extend(settings.iter().map(|(name, value)| format!("--{name}={value}")));
        let mut postgres = Postgres { server: None, pid: 0, port: 0, home, programs: programs()?, arguments };
        for _ in 0..5 {
            postgres.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match postgres.start_server() {
                // Another process took the port first.
                Err(_) if postgres.home.last_words().contains("Address already in use") => {}
                outcome => return outcome.map(|()| postgres),
            }
        }
        bail!("there is no free port for PostgreSQL")
    }

    /// Starts the server, and waits until it accepts connections.
    fn start_server(&mut self) -> Result<()> {
        let home = &self.home;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("start.sh"), "postgres"]);
        command.arg(&self.programs).arg(&home.path).args(&self.arguments);
        // PostgreSQL's account may not have access to the current directory.
        command.arg(format!("--port={}", self.port)).current_dir("/").env("LC_ALL", "C");
        let mut server = Kept::spawn(&command, "INT", home.guard.try_clone()?.into())?;
        let keeper = server.pid();
        // A killed server may have left its `postmaster.pid` behind.
        let ready = || running(&home.path).filter(|(pid, _)| process::children(keeper).contains(pid));
        wait_until(|| ready().is_some() || !matches!(server.try_wait(), Ok(None)))?;
        let problem = || format!("PostgreSQL didn't start. The end of its log:\n{}", home.last_words());
        (self.pid, _) = ready().with_context(problem)?;
        self.server = Some(server);
        Ok(())
    }

    /// Returns the URL of a database, including the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", password(&self.home.path), self.port)
    }

    /// Returns a command for a PostgreSQL program, such as `psql`, that connects to the `postgres` database.
    pub fn client(&self, program: &str) -> Command {
        client(self.programs.join(program), &self.home.path, self.port)
    }

    /// The process ID of the server. While it's stopped, the ID of its last process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory that contains the data, the log and the password.
    pub fn home(&self) -> &Path {
        &self.home.path
    }

    /// Shuts the server down cleanly. It closes its connections and writes everything to disk.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Kills the server and all its processes, as if the machine had crashed.
    pub fn kill9(&mut self) -> Result<()> {
        // A suspended process can't start others.
        process::signal("STOP", &[self.pid])?;
        let mut all = process::children(self.pid);
        all.push(self.pid);
        process::signal("KILL", &all)?;
        self.stop();
        wait_until(|| !all.iter().any(|&pid| process::is_running(pid)))
    }

    /// Restarts the server with the same data and port. If it's still running, stops it first.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.start_server()
    }
}

fn wait_until(mut done: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        // A minute is long enough for crash recovery on a slow disk.
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "PostgreSQL took longer than a minute to start or stop"
        );
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
