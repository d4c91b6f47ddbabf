//! A PostgreSQL of our own: found among the installed ones, started, and ended with us.
//!
//! It listens on 127.0.0.1 alone, at a port that the kernel chose, and asks for a random password, so
//! that nobody else on the machine walks in. A small shell script keeps it (`supervisor.sh`): when we
//! end, in whatever way, SIGKILL included, so does the server.

mod account;
mod address;
mod data_dir;
mod home;
mod installation;
mod supervisor;

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

pub use address::Address;
pub use home::{InUse, is_in_use};
pub use installation::Installation;

use crate::process;
use data_dir::DataDir;
use home::last_words;
use supervisor::Supervisor;

/// Recovery after a crash may take this long on a slow disk.
const LONGEST_START: Duration = Duration::from_secs(60);

/// Nothing in a temporary server has to survive a power cut. But what is committed survives
/// [`Postgres::kill9`]: it has been given to the operating system, which lives on.
const TEMPORARY: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("shared_buffers", "64MB"),
    ("max_connections", "200"),
    ("jit", "off"),
];

/// A running PostgreSQL server, which ends when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Postgres {
    // Dropped first, so that the server ends first.
    supervisor: Supervisor,
    installation: Installation,
    home: PathBuf,
    address: Address,
    pid: u32,
}

impl Postgres {
    /// A new server with nothing in it, tuned for tests, whose files go when it ends.
    ///
    /// # Errors
    /// Where no PostgreSQL is installed, or it does not start.
    pub fn temporary() -> Result<Self> {
        Self::temporary_with(&[])
    }

    /// The same, with settings of your own, such as `("max_connections", "10")`.
    ///
    /// # Errors
    /// As for [`Postgres::temporary`].
    pub fn temporary_with(settings: &[(&str, &str)]) -> Result<Self> {
        let installation = Installation::find()?;
        let mut all = TEMPORARY.to_vec();
        if installation.has_library("pg_stat_statements") {
            all.push(("shared_preload_libraries", "pg_stat_statements"));
        }
        all.extend(settings);
        Self::launch(installation, None, &all, None)
    }

    /// A server whose data is kept in `home` (in its directory `data`, beside a log and the password),
    /// and made there if there is none.
    ///
    /// # Errors
    /// [`InUse`] where another process keeps a server there; else as for [`Postgres::temporary`].
    pub fn start(home: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let installation = match DataDir::new(home).major() {
            None => Installation::find()?,
            Some(major) => Installation::find_version(major).with_context(|| {
                format!(
                    "the data in {} is of PostgreSQL {major}: install that, or remove the directory to begin anew",
                    home.display()
                )
            })?,
        };
        let (home, lock) = home::take(home)?;
        Self::launch(installation, Some(&home), settings, Some(lock))
    }

    fn launch(
        installation: Installation,
        home: Option<&Path>,
        settings: &[(&str, &str)],
        lock: Option<File>,
    ) -> Result<Self> {
        let own = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")];
        let options = own
            .iter()
            .chain(settings)
            .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
            .collect::<Vec<_>>();
        let (mut supervisor, home) = Supervisor::start(installation.bin_dir(), home, &options, lock)?;
        if !supervisor.init()? {
            bail!("cannot make a database in {}:\n{}", home.display(), last_words(&home));
        }
        let mut postgres =
            Postgres { supervisor, installation, address: Address::new(&home, 0)?, home, pid: 0 };
        postgres.clear_the_way()?;
        postgres.start_on_a_free_port()?;
        Ok(postgres)
    }

    /// A URL for this database of the server, with the password in it.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// A program of this PostgreSQL, such as `psql`, set up to connect to the database `postgres`.
    pub fn client(&self, program: &str) -> Command {
        self.address.client(self.bin(program))
    }

    /// The path of a program of this PostgreSQL, such as `psql`.
    pub fn bin(&self, program: &str) -> PathBuf {
        self.installation.bin(program)
    }

    /// The process id of the server (the postmaster); of the last one, while it is stopped.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// The directory of its data, log and password.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Ends the server in an orderly way: connections are cut, and everything is written.
    ///
    /// # Errors
    /// If its supervisor was killed.
    pub fn stop(&mut self) -> Result<()> {
        self.supervisor.end_server("INT")
    }

    /// Kills the server and all its processes, as a crash of the machine would.
    ///
    /// # Errors
    /// If its supervisor was killed.
    pub fn kill9(&mut self) -> Result<()> {
        // Stopped first: it can start no more processes, nor tidy up after those that die.
        let Some(pid) = self.supervisor.signal_server("STOP")? else {
            return Ok(());
        };
        let children = process::children(pid);
        self.supervisor.signal("KILL", &children)?;
        self.supervisor.end_server("KILL")?;
        wait_until(|| !children.iter().any(|&child| process::is_running(child)))
    }

    /// Starts the server again, with the same data, at the same port; ends it before, if it runs.
    ///
    /// # Errors
    /// If it does not start: the message has the end of its log.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start_server()
    }

    /// Sees to servers that ended, or should have, without telling anybody.
    fn clear_the_way(&mut self) -> Result<()> {
        let data = DataDir::new(&self.home);
        if let Some(orphan) = data.orphan() {
            self.supervisor.signal("INT", &[orphan])?;
            wait_until(|| !process::is_running(orphan))?;
        }
        data.forget_reused_pid()
    }

    fn start_on_a_free_port(&mut self) -> Result<()> {
        let mut attempts = 5;
        loop {
            // Between this and the server's start another process may take the port.
            let probe = TcpListener::bind(("127.0.0.1", 0))?;
            self.address.port = probe.local_addr()?.port();
            drop(probe);
            attempts -= 1;
            match self.start_server() {
                Err(_) if attempts > 0 && last_words(&self.home).contains("in use") => {}
                outcome => return outcome,
            }
        }
    }

    fn start_server(&mut self) -> Result<()> {
        self.pid = self.supervisor.start_server(self.address.port)?;
        let data = DataDir::new(&self.home);
        let begin = Instant::now();
        while !data.is_ready(self.pid) {
            ensure!(
                process::is_running(self.pid) && begin.elapsed() < LONGEST_START,
                "PostgreSQL does not start. Its last words:\n{}",
                last_words(&self.home)
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn wait_until(done: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        ensure!(begin.elapsed() < LONGEST_START, "processes of PostgreSQL do not end");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
