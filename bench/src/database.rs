//! PostgreSQL for the measurements: at its defaults (but for the number of connections), so that a commit is on the disk before it is answered.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use dev::{
    Postgres,
    postgres::{InUse, Installation},
};

/// It counts statements. Debian has it beside PostgreSQL, others in a package of its own.
const STATEMENTS: &str = "pg_stat_statements";

/// pgbench opens a connection for each client, 256 at most, while the servers hold theirs. By default there are 100.
const MAX_CONNECTIONS: (&str, &str) = ("max_connections", "400");

/// The settings that decide what a commit costs, as they are while we measure.
const TOLD: &str = "fsync, synchronous_commit, full_page_writes, wal_sync_method, shared_buffers, max_connections, \
     checkpoint_timeout, max_wal_size";

/// The server, with a database for each contender.
#[derive(Debug)]
pub struct Database {
    postgres: Postgres,
    /// Whether statements are counted.
    pub counts_statements: bool,
}

impl Database {
    /// Starts one in `home`, with nothing in it, on the disk of the project: where `/tmp` is in memory, a commit there
    /// would cost nothing.
    ///
    /// # Errors
    /// Where another measurement runs, which both would spoil; where no PostgreSQL starts.
    pub fn start(home: &Path) -> Result<Self> {
        let is_left_over = home.join("data").exists();
        let counts_statements = Installation::find()?.has_library(STATEMENTS);
        let mut settings = vec![MAX_CONNECTIONS];
        if counts_statements {
            settings.push(("shared_preload_libraries", STATEMENTS));
        }
        let settings = &settings;
        let mut postgres = start(home, settings)?;
        if is_left_over {
            drop(postgres);
            fs::remove_dir_all(home).context("can't remove the database of a run that was killed")?;
            postgres = start(home, settings)?;
        }
        let database = Database { postgres, counts_statements };
        if counts_statements {
            database.run("postgres", &format!("create extension {STATEMENTS}"))?;
        }
        Ok(database)
    }

    /// Ends it, and removes its files.
    pub fn remove(self) -> Result<()> {
        let home = self.postgres.home().to_owned();
        drop(self.postgres);
        fs::remove_dir_all(home).context("can't remove the database")
    }

    /// How a program reaches this database.
    pub fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// The same, through a relay at another port.
    pub fn url_through(&self, port: u16, database: &str) -> String {
        self.url(database).replace(&format!(":{}/", self.postgres.port()), &format!(":{port}/"))
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.postgres.port()
    }

    /// The process whose children do all its work.
    pub fn pid(&self) -> u32 {
        self.postgres.pid()
    }

    /// A program such as `pgbench`, set up for this database.
    pub fn client(&self, program: &str, database: &str) -> Command {
        let mut client = self.postgres.client(program);
        client.env("PGDATABASE", database);
        client
    }

    /// Makes a database.
    pub fn create(&self, database: &str) -> Result<()> {
        self.run("postgres", &format!("create database {database}"))
    }

    /// Runs SQL, of which nothing is wanted back.
    pub fn run(&self, database: &str, sql: &str) -> Result<()> {
        self.rows(database, sql).map(drop)
    }

    /// Runs SQL; gives rows of columns.
    pub fn rows(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let output = self
            .client("psql", database)
            .args(["-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
            // Each by itself: some commands refuse to share a transaction.
            .args(sql.split(";\n").flat_map(|statement| ["-c", statement]))
            .output()
            .context("can't start psql")?;
        ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).context("psql answers in UTF-8")?;
        Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// One number; `null` is 0.
    pub fn number(&self, database: &str, sql: &str) -> Result<f64> {
        let rows = self.rows(database, sql)?;
        match rows.first().and_then(|row| row.first()).map(String::as_str) {
            Some("") | None => Ok(0.0),
            Some(text) => text.parse().with_context(|| format!("{sql}: {text} is no number")),
        }
    }

    /// Begins a stretch of WAL in which every page is logged as a whole when it is first written: so that everyone
    /// measured pays for that alike.
    pub fn checkpoint(&self) -> Result<()> {
        self.run("postgres", "checkpoint")
    }

    /// Its version and those of its settings that decide what a commit costs.
    pub fn description(&self) -> Result<Vec<(String, String)>> {
        let names = TOLD.split(", ").map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "select 'version', split_part(version(), ' on ', 1);\n\
             select name, current_setting(name) from pg_settings where name in ({names}) order by name"
        );
        let rows = self.rows("postgres", &sql)?;
        Ok(rows.into_iter().filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone()))).collect())
    }
}

fn start(home: &Path, settings: &[(&str, &str)]) -> Result<Postgres> {
    match Postgres::start(home, settings) {
        Err(error) if error.is::<InUse>() => bail!("another measurement runs here: let it end first"),
        outcome => outcome,
    }
}
