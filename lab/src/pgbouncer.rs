//! A temporary PgBouncer in front of a PostgreSQL server. It stops with this process.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use dev::{Home, Kept};

/// A running PgBouncer. It stops when this value is dropped, or when this process exits for any reason.
#[derive(Debug)]
pub struct PgBouncer {
    /// `None` while PgBouncer is stopped. Dropped before its directory.
    process: Option<Kept>,
    port: u16,
    url: String,
    home: Home,
}

impl PgBouncer {
    /// Returns whether PgBouncer 1.21 or newer is installed. Older versions can't prepare statements in
    /// transaction mode.
    pub fn is_installed() -> bool {
        let version = Command::new("pgbouncer").arg("--version").output().map(|output| output.stdout);
        let version = String::from_utf8(version.unwrap_or_default()).unwrap_or_default();
        let minor =
            version.strip_prefix("PgBouncer 1.").and_then(|rest| rest.split('.').next()?.parse().ok());
        minor.is_some_and(|minor: u32| minor >= 21)
    }

    /// Starts PgBouncer in front of the database at a URL such as `postgres://postgres:password@127.0.0.1:5432/app`.
    /// `settings` has the contents of `deploy/pgbouncer.ini` or a variant.
    ///
    /// # Errors
    /// Returns an error if PgBouncer isn't installed or doesn't start.
    pub fn temporary(url: &str, settings: &str) -> Result<Self> {
        let home = Home::temporary("pgbouncer")?;
        let parts = url.strip_prefix("postgres://postgres:").and_then(|rest| {
            let (password, rest) = rest.split_once("@127.0.0.1:")?;
            let (port, database) = rest.split_once('/')?;
            Some((password, port, database))
        });
        let (password, server_port, database) = parts.context("not the URL of a local database")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let users = home.path.join("userlist.txt");
        fs::write(&users, format!("\"postgres\" \"{password}\"\n"))?;
        let mut settings = settings
            .replace("app = host", &format!("{database} = host"))
            .replace("port=5432 dbname=app", &format!("port={server_port} dbname={database}"))
            .replace("= 6432", &format!("= {port}"))
            .replace("/etc/pgbouncer/userlist.txt", &users.to_string_lossy());
        // PgBouncer refuses to run as root.
        if Command::new("id").arg("-u").output()?.stdout == b"0\n" {
            settings.push_str("user = nobody\n");
        }
        fs::write(home.path.join("pgbouncer.ini"), settings)?;
        let url = url.replace(&format!(":{server_port}/"), &format!(":{port}/"));
        let mut pgbouncer = PgBouncer { process: None, port, url, home };
        pgbouncer.start()?;
        Ok(pgbouncer)
    }

    /// Starts PgBouncer again after [`PgBouncer::kill9`].
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new("pgbouncer");
        command.arg("--quiet").arg(self.home.path.join("pgbouncer.ini"));
        // SIGTERM would wait for the clients.
        self.process = Some(Kept::spawn(&command, "KILL", Stdio::null())?);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(begin.elapsed() < Duration::from_secs(20), "PgBouncer didn't start");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills PgBouncer, as a crash would.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Returns the URL of the database through PgBouncer, including the password.
    pub fn url(&self) -> &str {
        &self.url
    }
}
