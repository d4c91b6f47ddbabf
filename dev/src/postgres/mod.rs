//! A private PostgreSQL server on 127.0.0.1 that requires a random password.

mod home;
mod installation;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, net::TcpListener, process::Command, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::{Kept, process};

pub use home::{Home, client, random, running};
pub use installation::programs;

/// The settings of temporary servers. Their data survives [`Postgres::kill9`], but not a power failure.
const TEMPORARY: &str = "--fsync=off --full_page_writes=off --wal_level=minimal --max_wal_senders=0 \
    --shared_buffers=64MB --max_connections=200 --jit=off";

/// A PostgreSQL server. It stops when this value is dropped, or when this process exits for any reason.
#[derive(Debug)]
pub struct Postgres {
    /// `None` while the server is stopped. Dropped before its directory.
    server: Option<Kept>,
    /// The server's process ID, even after it has stopped.
    pub pid: u32,
    pub port: u16,
    pub home: Home,
    programs: PathBuf,
    arguments: Vec<String>,
}

impl Postgres {
    /// Starts an empty server that is tuned for tests. A setting is, for example, `("max_connections", "10")`.
    pub fn temporary(settings: &[(&str, &str)]) -> Result<Self> {
        Self::launch(Home::temporary("postgres")?, TEMPORARY, settings)
    }

    /// Starts a server that keeps its data in `home`. Fails if another process is running a server there.
    pub fn start(home: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let problem = || format!("can't keep a database in {}", home.display());
        Self::launch(Home::lock(home).with_context(problem)?, "", settings)
    }

    fn launch(home: Home, tuning: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings.iter().map(|(name, value)| format!("--{name}={value}"));
        let arguments = tuning.split_whitespace().map(str::to_owned).chain(settings).collect();
        let mut postgres = Postgres { server: None, pid: 0, port: 0, home, programs: programs()?, arguments };
        for _ in 0..5 {
            postgres.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match postgres.restart() {
                // Another process took the port first.
                Err(error) if error.to_string().contains("Address already in use") => {}
                outcome => return outcome.map(|()| postgres),
            }
        }
        bail!("there is no free port for PostgreSQL")
    }

    /// Stops and starts the server, with the same data and port. Waits until it accepts connections.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let home = &self.home;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("start.sh"), "postgres"]);
        command.arg(&self.programs).arg(&home.path).args(&self.arguments);
        // PostgreSQL's account may not have access to the current directory.
        command.arg(format!("--port={}", self.port)).current_dir("/").env("LC_ALL", "C");
        let mut server = Kept::spawn(&command, "INT", home.guard.try_clone()?.into())?;
        let keeper = server.script.id();
        // A killed server may have left its `postmaster.pid` behind.
        let ready = || running(&home.path).filter(|(pid, _)| process::children(keeper).contains(pid));
        wait_until(|| ready().is_some() || !matches!(server.script.try_wait(), Ok(None)))?;
        let problem = || {
            let log = fs::read_to_string(home.path.join("log")).unwrap_or_default();
            let end = log.lines().skip(log.lines().count().saturating_sub(8)).collect::<Vec<_>>();
            format!("PostgreSQL didn't start. The end of its log:\n{}", end.join("\n"))
        };
        (self.pid, _) = ready().with_context(problem)?;
        self.server = Some(server);
        Ok(())
    }

    /// Returns the URL of a database, including the password.
    pub fn url(&self, database: &str) -> String {
        let password = fs::read_to_string(self.home.path.join("password")).expect("the server's password");
        format!("postgres://postgres:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns a command for a PostgreSQL program, such as `psql`, that connects to the `postgres` database.
    pub fn client(&self, program: &str) -> Command {
        client(self.programs.join(program), &self.home.path, self.port)
    }

    /// Shuts the server down cleanly.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Kills the server and all its processes, as if the machine had crashed.
    pub fn kill9(&mut self) -> Result<()> {
        // A suspended process can't start others.
        process::signal("STOP", &[self.pid])?;
        let all = [process::children(self.pid), vec![self.pid]].concat();
        process::signal("KILL", &all)?;
        self.stop();
        wait_until(|| !all.iter().any(|&pid| process::is_running(pid)))
    }
}

fn wait_until(mut done: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        // Long enough for crash recovery on a slow disk.
        ensure!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL took longer than a minute");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
