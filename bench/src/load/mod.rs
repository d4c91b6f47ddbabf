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
    io,
    net::{SocketAddr, TcpStream},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{runtime, task::LocalSet, time::timeout_at};

use crate::usage;

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

/// Sends the load to `address`, from a thread for each processor, as pgbench is told to. The returning visitors are
/// shared out among the connections, and each keeps its own for the whole time: so everyone's next count is known. They
/// come back with the counts that they were shown last.
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
    // All are connected before the first asks: a busy server would let the last ones wait.
    let sockets: io::Result<Vec<_>> = (0..load.connections).map(|_| TcpStream::connect(address)).collect();
    let sockets = sockets.context("the load can't connect")?;
    let shares = share_out(std::mem::take(visitors), load.connections);
    let connections = sockets.into_iter().zip(shares).collect();
    let crowds = share_out(connections, usage::processors().min(load.connections));
    let begin = Instant::now() + load.warmup;
    watch(begin, begin + load.window);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let crowds: Vec<_> =
            crowds.into_iter().map(|crowd| scope.spawn(|| send(address, load, begin, crowd))).collect();
        crowds.into_iter().map(|crowd| crowd.join().expect("a crowd does not panic")).collect()
    });
    let mut all = Tally::new(begin, begin + load.window);
    for outcome in outcomes {
        let (tally, returned) = outcome?;
        all.add(tally);
        visitors.extend(returned);
    }
    Ok(all)
}

/// What one thread sends: each share of the visitors comes on a connection of its own.
fn send(
    address: SocketAddr,
    load: Load,
    begin: Instant,
    crowd: Vec<(TcpStream, Vec<Visitor>)>,
) -> Result<(Tally, Vec<Visitor>)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = Rc::new(Tally::new(begin, begin + load.window));
    let returned = LocalSet::new().block_on(&runtime, async {
        let mut tasks = Vec::new();
        for (socket, share) in crowd {
            let connection = Connection::adopt(socket, address)?;
            let visits = visitor::keep_coming(connection, share, load.ask, Rc::clone(&tally));
            tasks.push(tokio::task::spawn_local(visits));
        }
        let mut returned = Vec::new();
        for task in tasks {
            match timeout_at((begin + load.window + PATIENCE).into(), task).await {
                Ok(Ok(share)) => returned.extend(share),
                _ => tally.error("no answer"),
            }
        }
        anyhow::Ok(returned)
    })?;
    drop(runtime);
    Ok((Rc::try_unwrap(tally).ok().context("every connection has ended")?, returned))
}

fn share_out<T>(things: Vec<T>, shares: usize) -> Vec<Vec<T>> {
    let mut shared: Vec<Vec<T>> = (0..shares).map(|_| Vec::new()).collect();
    for (n, thing) in things.into_iter().enumerate() {
        shared[n % shares].push(thing);
    }
    shared
}
