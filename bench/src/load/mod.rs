//! The load: visitors who come again and again, each on a connection that stays open, and every answer checked.
//!
//! # Why a client of our own
//! App, database and load share the same processors, so what the load costs is missing to the others. On 64 connections
//! against `/health/live`, with the answer checked, a request took this much of a processor: 6.8 µs here; 10.5 µs with
//! `rlt` over hyper; 16 µs with reqwest, on which `goose` is built; 7.7 µs with `wrk`, whose script does not learn which
//! connection an answer came on, so that it can't know a visitor's next count. What it costs in a run is in the report.

mod connection;
mod page;
mod tally;
mod visitor;

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{runtime, task::LocalSet, time::timeout};

pub use connection::{Answer, Connection};
pub use tally::Tally;
pub use visitor::{Visitor, newcomers};

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Visitors with a cookie, who must be shown one visit more than the last time.
    Returning,
    /// Visitors without, who must be given one, and be shown one visit.
    New,
}

impl Scenario {
    /// As it is written on the command line and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Returning => "returning",
            Scenario::New => "new",
        }
    }
}

/// What path is asked for, and what is expected of the answer.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// `/`, by such visitors.
    Visits(Scenario),
    /// This path, without a session: only the status is checked.
    Path(&'static str),
}

/// How much load, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What is asked.
    pub ask: Ask,
    /// How many ask at once. Each asks again as soon as it is answered.
    pub connections: usize,
    /// Before anything is counted.
    pub warmup: Duration,
    /// For so long answers are counted.
    pub window: Duration,
}

/// Whoever does not answer within this time after the end never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the load to `address`. The returning visitors are shared out among the connections, and each keeps its own for
/// the whole time: so everyone's next count is known. They come back with the counts that they were shown last.
///
/// `watch` is told when the window opens and closes.
///
/// # Errors
/// Where nothing listens. Wrong answers are no error here: the tally has them.
pub fn drive(
    address: SocketAddr,
    load: Load,
    visitors: &mut Vec<Visitor>,
    watch: impl FnOnce(Instant, Instant),
) -> Result<Tally> {
    let is_returning = matches!(load.ask, Ask::Visits(Scenario::Returning));
    ensure!(!is_returning || visitors.len() >= load.connections, "fewer visitors than connections");
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let shares = share_out(std::mem::take(visitors), load.connections);
    let (tally, returned) = LocalSet::new().block_on(&runtime, async {
        let mut connections = Vec::new();
        for share in shares {
            connections.push((Connection::open(address).await.context("the load can't connect")?, share));
        }
        let begin = Instant::now() + load.warmup;
        let tally = Rc::new(Tally::new(begin, begin + load.window));
        watch(begin, begin + load.window);
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|(connection, share)| {
                tokio::task::spawn_local(visitor::keep_coming(connection, share, load.ask, Rc::clone(&tally)))
            })
            .collect();
        let mut returned = Vec::new();
        let deadline = load.warmup + load.window + PATIENCE;
        for task in tasks {
            // The time is counted from the start for the first, and is over for the others.
            match timeout(deadline.saturating_sub(tally.since_start()), task).await {
                Ok(Ok(share)) => returned.extend(share),
                _ => tally.error("no answer"),
            }
        }
        anyhow::Ok((tally, returned))
    })?;
    *visitors = returned;
    drop(runtime);
    Rc::try_unwrap(tally).ok().context("every connection has ended")
}

fn share_out(visitors: Vec<Visitor>, connections: usize) -> Vec<Vec<Visitor>> {
    let mut shares = vec![Vec::new(); connections];
    for (n, visitor) in visitors.into_iter().enumerate() {
        shares[n % connections].push(visitor);
    }
    shares
}
