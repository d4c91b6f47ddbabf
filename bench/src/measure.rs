//! One measurement: a contender, under one load, for one window.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    contender::{Contender, Kind, Place, pgbench},
    database::Database,
    load::{self, Ask, Load, Scenario},
    usage::{self, Snapshot},
};

/// Programs of others may take this share of the processors before we say that they disturb.
pub const DISTURBANCE: f64 = 0.05;

/// Before every window.
pub const WARMUP: Duration = Duration::from_millis(250);

/// Who comes, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// Who comes.
    pub scenario: Scenario,
    /// How many at once.
    pub connections: usize,
}

/// What one measurement gave. Times are in milliseconds, processor time in microseconds a visit; `None` is unknown.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The contender's name.
    pub contender: String,
    /// Under what load.
    #[serde(flatten)]
    pub cell: Cell,
    /// 1, 2, 3, …: measurements of one round are compared with each other.
    pub round: usize,
    /// Right answers a second.
    pub rate: f64,
    /// Half of the answers took this or less.
    pub p50: f64,
    /// 99 of 100 answers took this or less.
    pub p99: f64,
    /// The slowest answer.
    pub max: f64,
    /// Right answers in the window.
    pub answers: u64,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// Of the server.
    pub server_cpu: Option<f64>,
    /// Of PostgreSQL, or of the store in its place.
    pub store_cpu: Option<f64>,
    /// Of the load.
    pub load_cpu: Option<f64>,
    /// The share of the processors that programs took which have no part in this.
    pub strangers: Option<f64>,
    /// The server's peak, in MiB.
    pub memory: Option<f64>,
    /// Statements that PostgreSQL ran, a visit.
    pub statements: Option<f64>,
    /// Bytes by which the database grew, a visit.
    pub growth: Option<f64>,
    /// Bytes of write-ahead log, a visit.
    pub wal: Option<f64>,
}

/// What everyone is measured with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Where files go.
    pub place: &'a Place,
    /// The database.
    pub database: &'a Database,
    /// How long answers are counted.
    pub window: Duration,
}

/// The database's counts, before and after.
#[derive(Clone, Copy, Default)]
struct Counts {
    statements: f64,
    bytes: f64,
    wal: f64,
}

/// Processor time, when the window opens and when it closes.
#[derive(Default)]
struct Edges(Option<(Snapshot, Snapshot)>);

impl Stage<'_> {
    /// Measures.
    ///
    /// # Errors
    /// Where the contender can't be reached at all. Wrong answers are in the measurement.
    pub fn measure(&self, contender: &mut Contender, cell: Cell, round: usize) -> Result<Measurement> {
        let before = self.counts(contender)?;
        let (mut measurement, visits) = match &mut contender.kind {
            Kind::Server(_) => self.measure_server(contender, cell)?,
            Kind::PgBench(script) => self.measure_pgbench(*script, &contender.name, cell)?,
        };
        let after = self.counts(contender)?;
        measurement.round = round;
        if contender.database.is_some() {
            let each = |before: f64, after: f64| (visits > 0).then(|| (after - before) / visits as f64);
            measurement.statements =
                each(before.statements, after.statements).filter(|_| self.database.counts_statements);
            measurement.growth = each(before.bytes, after.bytes);
            measurement.wal = each(before.wal, after.wal);
        }
        Ok(measurement)
    }

    fn measure_server(&self, contender: &mut Contender, cell: Cell) -> Result<(Measurement, u64)> {
        let name = contender.name.clone();
        let server = contender.as_server().expect("only servers come here");
        let (pid, store) = (server.running.pid(), server.store_pid(self.database));
        usage::reset_peak_memory(pid);
        let load = Load {
            ask: Ask::Visits(cell.scenario),
            connections: cell.connections,
            warmup: WARMUP,
            window: self.window,
        };
        let mut edges = None;
        let tally = load::drive(server.running.address, load, &mut server.visitors, |begin, end| {
            edges = Some(thread::spawn(move || Edges::at(begin, end)));
        })?;
        let edges = edges.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let visits = tally.answers();
        let each = |seconds: f64| Some(seconds * 1e6 / visits as f64).filter(|_| visits > 0);
        let measurement = Measurement {
            rate: tally.rate(),
            p50: tally.quantile(0.5),
            p99: tally.quantile(0.99),
            max: tally.quantile(1.0),
            answers: visits,
            errors: tally.errors(),
            server_cpu: edges.spent(|all| all.tree(pid)).and_then(each),
            store_cpu: edges.spent(|all| all.tree(store)).and_then(each),
            load_cpu: edges.spent(Snapshot::own).and_then(each),
            strangers: edges.strangers(self.window, |all| all.tree(pid) + all.tree(store) + all.own()),
            memory: usage::peak_memory(pid),
            ..Measurement::empty(&name, cell)
        };
        Ok((measurement, tally.all_answers()))
    }

    fn measure_pgbench(&self, script: pgbench::Script, name: &str, cell: Cell) -> Result<(Measurement, u64)> {
        let store = self.database.pid();
        let mut edges = None;
        let outcome = pgbench::run(
            script,
            cell.connections,
            (WARMUP, self.window),
            self.place,
            self.database,
            self.database.port(),
            |begin, end| {
                let until = |time: SystemTime| time.duration_since(SystemTime::now()).unwrap_or_default();
                let (begin, end) = (Instant::now() + until(begin), Instant::now() + until(end));
                edges = Some(thread::spawn(move || Edges::at(begin, end)));
            },
        )?;
        let edges = edges.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let visits = outcome.transactions;
        let each = |seconds: f64| Some(seconds * 1e6 / visits as f64).filter(|_| visits > 0);
        let milliseconds = |share| outcome.times.value_at_quantile(share) as f64 / 1000.0;
        // pgbench is a child of ours: so are the servers, and the server of the database.
        let children = |all: &Snapshot| all.tree(std::process::id());
        let measurement = Measurement {
            rate: visits as f64 / self.window.as_secs_f64(),
            p50: milliseconds(0.5),
            p99: milliseconds(0.99),
            max: milliseconds(1.0),
            answers: visits,
            store_cpu: edges.spent(|all| all.tree(store)).and_then(each),
            load_cpu: edges.spent(|all| children(all) - all.tree(store)).and_then(each),
            strangers: edges.strangers(self.window, children),
            ..Measurement::empty(name, cell)
        };
        Ok((measurement, outcome.all_transactions))
    }

    fn counts(&self, contender: &Contender) -> Result<Counts> {
        let Some(name) = &contender.database else {
            return Ok(Counts::default());
        };
        let number = |sql: &str| self.database.number("postgres", sql);
        let statements = match self.database.counts_statements {
            true => number(&format!(
                "select sum(calls) from pg_stat_statements join pg_database on pg_database.oid = dbid where datname = '{name}'"
            ))?,
            false => 0.0,
        };
        Ok(Counts {
            statements,
            bytes: number(&format!("select pg_database_size('{name}')"))?,
            wal: number("select pg_current_wal_insert_lsn() - '0/0'")?,
        })
    }
}

impl Edges {
    fn at(begin: Instant, end: Instant) -> Self {
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let first = Snapshot::take();
        thread::sleep(end.saturating_duration_since(Instant::now()));
        Edges(first.zip(Snapshot::take()))
    }

    fn spent(&self, seconds: impl Fn(&Snapshot) -> f64) -> Option<f64> {
        self.0.as_ref().map(|(first, last)| (seconds(last) - seconds(first)).max(0.0))
    }

    fn strangers(&self, window: Duration, ours: impl Fn(&Snapshot) -> f64) -> Option<f64> {
        let others = self.spent(Snapshot::busy)? - self.spent(ours)?;
        Some(others.max(0.0) / window.as_secs_f64() / usage::processors() as f64)
    }
}

impl Measurement {
    /// Whether other programs took so much that the figures are worth less.
    pub fn is_disturbed(&self) -> bool {
        self.strangers.is_some_and(|share| share > DISTURBANCE)
    }

    fn empty(contender: &str, cell: Cell) -> Self {
        Measurement {
            contender: contender.to_owned(),
            cell,
            round: 0,
            rate: 0.0,
            p50: 0.0,
            p99: 0.0,
            max: 0.0,
            answers: 0,
            errors: BTreeMap::new(),
            server_cpu: None,
            store_cpu: None,
            load_cpu: None,
            strangers: None,
            memory: None,
            statements: None,
            growth: None,
            wal: None,
        }
    }
}
