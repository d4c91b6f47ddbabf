//! A separate PostgreSQL server for one test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use dev::Postgres;
use tokio::sync::{Mutex, MutexGuard};

use crate::program::App;

/// The lock that the running test holds.
pub static TURN: Mutex<()> = Mutex::const_new(());

pub struct Stage {
    pub postgres: Postgres,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// Starts PostgreSQL with these settings.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        // Starts PostgreSQL before the test's turn, because this takes a while and hardly slows down the running test.
        let postgres = Postgres::temporary(settings).unwrap_or_else(|error| panic!("{error:#}"));
        Self { postgres, _turn: TURN.blocking_lock() }
    }

    /// Starts the program, and waits until it is ready.
    pub fn app(&self) -> App {
        self.app_with(&[])
    }

    pub fn app_with(&self, settings: &[(&str, &str)]) -> App {
        let app = self.start(settings);
        app.wait_until_ready(Duration::from_secs(10));
        app
    }

    /// Starts the program, and waits until it listens.
    pub fn start(&self, settings: &[(&str, &str)]) -> App {
        let mut all = vec![("DATABASE_URL", self.url())];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        App::start(&all)
    }

    pub fn url(&self) -> String {
        self.postgres.url("postgres")
    }

    /// Returns what psql prints for these statements.
    pub fn sql(&self, statements: &str) -> String {
        let output =
            self.psql().args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statements]).output().expect("psql");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs these statements on a connection that stays open until the returned value is dropped.
    pub fn holding(&self, statements: &str) -> Held {
        self.try_holding(statements).unwrap_or_else(|| panic!("{statements}"))
    }

    /// Like [`Stage::holding`], but returns `None` if psql fails.
    pub fn try_holding(&self, statements: &str) -> Option<Held> {
        let mut psql = self
            .psql()
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql");
        let mut input = psql.stdin.take().expect("piped");
        // Fails if psql has already exited.
        let _ = writeln!(input, "{statements};\n\\echo done");
        let mut lines = BufReader::new(psql.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let held = Held { psql, _input: input };
        lines.any(|line| line == "done").then_some(held)
    }

    /// Returns psql with a time limit, so that a test fails instead of waiting for a lock.
    fn psql(&self) -> Command {
        let mut psql = self.postgres.client("psql");
        psql.env("PGCONNECT_TIMEOUT", "10").env("PGOPTIONS", "-c statement_timeout=60s -c lock_timeout=10s");
        psql
    }
}

pub struct Held {
    psql: Child,
    _input: ChildStdin,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
