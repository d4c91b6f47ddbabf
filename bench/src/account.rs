//! What a visit asks of PostgreSQL: round trips, statements, commits, and how many updates stay within their page.
//!
//! Counted apart from the measurements, because the relay that counts round trips costs time. PostgreSQL's processes tell
//! of their commits only now and then, and at their end: so the server is ended before they are read.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::{
    contender::{Contender, Kind, pgbench},
    load::{self, Ask, Load, Scenario},
    measure::{Cell, Stage, WARMUP},
    relay::Relay,
};

/// Long enough that what a server does once, at its start, hardly counts.
const WINDOW: Duration = Duration::from_millis(1200);

/// What a visit costs in PostgreSQL, on average.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// The contender's name.
    pub contender: String,
    /// Under what load.
    #[serde(flatten)]
    pub cell: Cell,
    /// How often the server waits for PostgreSQL, pings included.
    pub round_trips: f64,
    /// What PostgreSQL runs; `begin` and `commit` are statements too.
    pub statements: Option<f64>,
    /// Transactions that PostgreSQL ends, those that only read included.
    pub commits: f64,
    /// The share of updates that touch no index; `None` where nothing is updated.
    pub hot: Option<f64>,
}

#[derive(Clone, Copy)]
struct Counts {
    statements: f64,
    commits: f64,
    updates: f64,
    hot: f64,
}

/// Ends a contender, and starts it again behind a relay, where it stays. `None` for one without PostgreSQL.
pub fn account(stage: &Stage<'_>, contender: &mut Contender, cell: Cell) -> Result<Option<Account>> {
    let Some(name) = contender.database.clone() else {
        return Ok(None);
    };
    let relay = Relay::start(stage.database.port())?;
    if let Kind::Server(server) = &mut contender.kind {
        server.running.stop()?;
        let url = stage.database.url_through(relay.port, &name);
        server.running = server.program.start(&contender.name, stage.place, Some(&url))?;
    }
    let before = counts(stage, &name)?;
    let waited = relay.round_trips();
    let visits = visits(stage, contender, cell, relay.port)?.max(1) as f64;
    let round_trips = (relay.round_trips() - waited) as f64 / visits;
    if let Kind::Server(server) = &mut contender.kind {
        server.running.stop()?;
    }
    let after = counts(stage, &name)?;
    let updates = after.updates - before.updates;
    Ok(Some(Account {
        contender: contender.name.clone(),
        cell,
        round_trips,
        statements: stage
            .database
            .counts_statements
            .then_some((after.statements - before.statements) / visits),
        commits: (after.commits - before.commits) / visits,
        hot: (updates > 100.0).then(|| (after.hot - before.hot) / updates),
    }))
}

fn visits(stage: &Stage<'_>, contender: &mut Contender, cell: Cell, port: u16) -> Result<u64> {
    match &mut contender.kind {
        Kind::Server(server) => {
            let ask = Ask::Visits(cell.scenario);
            let load = Load { ask, connections: cell.connections, warmup: WARMUP, window: WINDOW };
            let tally = load::drive(server.running.address, load, &mut server.visitors, |_, _| {})?;
            Ok(tally.all_answers())
        }
        Kind::PgBench(script) => {
            let times = (WARMUP, WINDOW);
            let outcome =
                pgbench::run(*script, cell.connections, times, stage.place, stage.database, port, |_, _| {})?;
            Ok(outcome.all_transactions)
        }
    }
}

fn counts(stage: &Stage<'_>, name: &str) -> Result<Counts> {
    let number = |sql: &str| stage.database.number("postgres", sql);
    let statements = match stage.database.counts_statements {
        true => number(&format!(
            "select sum(calls) from pg_stat_statements join pg_database on pg_database.oid = dbid where datname = '{name}'"
        ))?,
        false => 0.0,
    };
    let commits = number(&format!("select xact_commit from pg_stat_database where datname = '{name}'"))?;
    let own = |sql: &str| stage.database.number(name, sql);
    Ok(Counts {
        statements,
        commits,
        updates: own("select sum(n_tup_upd) from pg_stat_user_tables")?,
        hot: own("select sum(n_tup_hot_upd) from pg_stat_user_tables")?,
    })
}

/// The load of every account.
pub fn cell(scenario: Scenario, connections: &[usize]) -> Cell {
    // The busiest that is measured, up to the one that the targets are set for.
    let connections = connections.iter().copied().filter(|n| *n <= 64).max().unwrap_or(64);
    Cell { scenario, connections }
}
