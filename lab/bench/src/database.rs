//! PostgreSQL with its default settings, except for the number of connections and the library that counts
//! statements. A commit is on disk before PostgreSQL reports it.

use std::{fs, io::Write, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use dev::Postgres;

/// The library that counts statements.
const STATEMENTS: &str = "pg_stat_statements";

/// More than PostgreSQL's default of 100, because all servers keep their connections open.
const MAX_CONNECTIONS: (&str, &str) = ("max_connections", "200");

/// The PostgreSQL server that the contenders share.
#[derive(Debug)]
pub struct Database {
    postgres: Postgres,
}

impl Database {
    /// Starts a server in `home`. This must be a directory on a disk, because a commit to memory costs nothing.
    ///
    /// # Errors
    /// Returns an error if another benchmark is running, or if PostgreSQL doesn't start.
    pub fn start(home: &Path) -> Result<Self> {
        let settings = [MAX_CONNECTIONS, ("shared_preload_libraries", STATEMENTS)];
        let database = Database { postgres: Postgres::start(home, &settings)? };
        // Each new database is a copy of template1.
        database.run("template1", &format!("create extension if not exists {STATEMENTS}"))?;
        Ok(database)
    }

    /// Stops the server and removes its files.
    pub fn remove(self) -> Result<()> {
        let home = self.postgres.home.path.clone();
        drop(self.postgres);
        fs::remove_dir_all(home).context("can't remove the database")
    }

    pub fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    pub fn pid(&self) -> u32 {
        self.postgres.pid
    }

    /// Creates an empty database. Replaces a database left behind by a killed run.
    pub fn create(&self, database: &str) -> Result<()> {
        self.run("postgres", &format!("drop database if exists {database};\ncreate database {database}"))
    }

    /// Runs a psql script that adds `count` rows (`:n`), and then vacuums and analyzes the tables.
    pub fn fill(&self, database: &str, script: &str, count: usize) -> Result<()> {
        self.run(database, &format!("\\set n {count}\n{script}\nvacuum analyze"))
    }

    /// Runs a psql script.
    pub fn run(&self, database: &str, script: &str) -> Result<()> {
        self.rows(database, script).map(drop)
    }

    /// Runs a psql script and returns its rows.
    pub fn rows(&self, database: &str, script: &str) -> Result<Vec<Vec<String>>> {
        let mut psql = self.postgres.client("psql");
        psql.args(["-XqtA", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().context("psql is not installed")?;
        psql.stdin.take().context("standard input is a pipe")?.write_all(script.as_bytes())?;
        let output = psql.wait_with_output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).context("psql's output isn't UTF-8")?;
        Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// Returns the version, and the settings that determine the cost of a commit.
    pub fn description(&self) -> Result<Vec<(String, String)>> {
        let names = "server_version fsync synchronous_commit full_page_writes wal_sync_method shared_buffers \
             max_connections checkpoint_timeout max_wal_size";
        let value = |name: &str| {
            Ok((name.to_owned(), self.rows("postgres", &format!("show {name}"))?.concat().concat()))
        };
        names.split(' ').map(value).collect()
    }

    /// Prints the cost of each contender's statements.
    pub fn print_statements(&self) -> Result<()> {
        let query = include_str!("../sql/statements.sql");
        let mut psql = self.postgres.client("psql");
        let status = psql.args(["-X", "-P", "pager=off", "-d", "template1", "-c", query]).status()?;
        ensure!(status.success(), "psql failed");
        Ok(())
    }
}
