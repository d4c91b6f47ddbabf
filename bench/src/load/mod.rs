//! The load: visitors who come again and again on connections that stay open. Each response is checked.
//!
//! The client is written by hand because it shares the processors with the app and the database. With 64 connections and
//! checked responses, a request took 6.8 µs of processor time here, 10.5 µs with `rlt` over hyper and 16 µs with reqwest.
//! `wrk` took 7.7 µs, but it can't know which count a visitor must see.

mod connection;
mod visitor;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tokio::{runtime::Runtime, task::JoinSet, time::timeout_at};

use crate::{measure::Cell, usage};

use connection::Connection;
pub use visitor::Visitor;

/// The visitors that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Visitors with a cookie, who must see their own count plus one
    Returning,
    /// Visitors without a cookie, who must receive one and see a count of one
    New,
}

/// Time after the end of the window in which a response is still accepted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of connections that create sessions before a measurement.
const PREPARING: usize = 32;

/// What came of the load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Correct responses in a second of the window.
    pub rate: f64,
    /// Number of correct responses, also those outside of the window.
    pub visits: u64,
    /// Times of the correct responses in the window, in microseconds. Sorted at the end.
    pub times: Vec<u32>,
    /// What went wrong, and how often.
    pub errors: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, mut other: Tally) {
        self.visits += other.visits;
        self.times.append(&mut other.times);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }

    /// Returns the time in milliseconds in which this share of the responses came.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.times.len().checked_sub(1)?;
        Some(f64::from(self.times[(last as f64 * share).round() as usize]) / 1000.0)
    }
}

/// Sends the load, from one thread for each processor, until the window that starts at `begin` is over.
///
/// Each visitor stays on one connection, so the next count is always known.
///
/// # Errors
/// Returns an error if nothing listens at `address`. Wrong responses are counted in the tally.
pub fn drive(
    address: SocketAddr,
    cell: Cell,
    begin: Instant,
    window: Duration,
    visitors: &mut Vec<Visitor>,
) -> Result<Tally> {
    let count = usize::from(cell.connections);
    ensure!(visitors.len() >= count, "fewer visitors than connections");
    // All connect before the first request is sent: a busy server would let the last ones wait.
    let sockets: std::io::Result<Vec<_>> = (0..count).map(|_| TcpStream::connect(address)).collect();
    let sockets = sockets.context("can't connect to the server")?;
    let shares = share_out(std::mem::take(visitors), count);
    let crowds = share_out(sockets.into_iter().zip(shares).collect(), usage::processors().min(count));
    let outcomes: Vec<_> = thread::scope(|scope| {
        let send = |crowd| scope.spawn(move || send(address, crowd, cell.scenario, begin, begin + window));
        let threads: Vec<_> = crowds.into_iter().map(send).collect();
        threads.into_iter().map(|thread| thread.join().expect("the load doesn't panic")).collect()
    });
    let mut all = Tally::default();
    for outcome in outcomes {
        let (tally, returned) = outcome?;
        all.add(tally);
        visitors.extend(returned);
    }
    all.rate = all.times.len() as f64 / window.as_secs_f64();
    all.times.sort_unstable();
    Ok(all)
}

/// Sends what one thread sends.
fn send(
    address: SocketAddr,
    crowd: Vec<(TcpStream, Vec<Visitor>)>,
    scenario: Scenario,
    begin: Instant,
    end: Instant,
) -> Result<(Tally, Vec<Visitor>)> {
    let (mut all, mut visitors) = (Tally::default(), Vec::new());
    runtime()?.block_on(async {
        let mut tasks = JoinSet::new();
        for (socket, share) in crowd {
            let connection = Connection::new(socket, address)?;
            let visits = visitor::keep_coming(connection, share, scenario, begin..end);
            tasks.spawn(timeout_at((end + PATIENCE).into(), visits));
        }
        while let Some(outcome) = tasks.join_next().await {
            let Ok((tally, returned)) = outcome? else {
                *all.errors.entry("no response").or_default() += 1;
                continue;
            };
            all.add(tally);
            visitors.extend(returned);
        }
        Ok((all, visitors))
    })
}

/// Creates visitors who have already been there twice, because the app writes a row of its own with the second visit.
pub fn create_visitors(address: SocketAddr, count: usize) -> Result<Vec<Visitor>> {
    runtime()?.block_on(async {
        let mut tasks = JoinSet::new();
        for mut share in share_out(vec![Visitor::default(); count], PREPARING) {
            tasks.spawn(async move {
                let mut connection = Connection::open(address)?;
                for visitor in &mut share {
                    visitor.visit(&mut connection).await.map_err(anyhow::Error::msg)?;
                    visitor.visit(&mut connection).await.map_err(anyhow::Error::msg)?;
                }
                anyhow::Ok(share)
            });
        }
        let mut visitors = Vec::new();
        while let Some(share) = tasks.join_next().await {
            visitors.extend(share??);
        }
        Ok(visitors)
    })
}

/// Returns whether the server answers this path with 200.
pub fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = async { Connection::open(address).ok()?.get(path, b"").await.ok() };
    let response = runtime().ok().and_then(|runtime| runtime.block_on(ask));
    response.is_some_and(|response| response.status == 200)
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn share_out<T>(things: Vec<T>, shares: usize) -> Vec<Vec<T>> {
    let mut shared: Vec<Vec<T>> = (0..shares).map(|_| Vec::new()).collect();
    for (n, thing) in things.into_iter().enumerate() {
        shared[n % shares].push(thing);
    }
    shared
}
