//! The load: visitors that return again and again on persistent connections. Each response is checked.
//!
//! The client is written by hand because it shares the processors with the app and the database. With 64
//! connections and checked responses, a request took 6.8 µs of CPU time here, 10.5 µs with `rlt` over hyper
//! and 16 µs with reqwest. `wrk` took 7.7 µs, but it can't check each visitor's count.

mod connection;
mod visitor;

use std::{collections::BTreeMap, mem::take, net::SocketAddr, ops::Range, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::measure::Cell;

use connection::Connection;
pub use visitor::Visitor;

/// The kind of visitors that send the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Visitors with a cookie, whose counts must increase by one
    Returning,
    /// Visitors without a cookie, which must receive one and see a count of one
    New,
    /// Visitors that return after ten minutes, so that each visit resets the idle timer; only measured with the app
    Rare,
}

/// How long after the end of the window a response is still accepted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of connections that create sessions before a measurement.
const PREPARING: usize = 32;

/// The results of a load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Number of correct responses, including those outside the window.
    pub visits: u64,
    /// The times of the correct responses in the window, in microseconds. They are sorted at the end.
    pub times: Vec<u32>,
    /// The errors, and how often each occurred.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, mut other: Tally) {
        self.visits += other.visits;
        self.times.append(&mut other.times);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
    }

    /// Returns the time in milliseconds within which this share of the responses arrived.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.times.len().checked_sub(1)?;
        Some(f64::from(self.times[(last as f64 * share).round() as usize]) / 1000.0)
    }
}

/// Sends the load until the window is over. Each visitor uses a single connection, so its next count is always known.
///
/// # Errors
/// Returns an error if nothing listens at `address`. Wrong responses are counted in the tally.
pub async fn drive(
    address: SocketAddr,
    cell: Cell,
    window: Range<Instant>,
    visitors: &mut Vec<Visitor>,
) -> Result<Tally> {
    // All visitors connect before the first request is sent. Otherwise, a busy server would keep the last ones waiting.
    let mut crowds = Vec::new();
    for share in share_out(take(visitors), cell.connections.into()) {
        crowds.push((Connection::open(address).await.context("can't connect to the server")?, share));
    }
    let mut tasks = JoinSet::new();
    for (connection, share) in crowds {
        let visits = visitor::keep_coming(connection, share, cell.scenario, window.clone());
        tasks.spawn(timeout_at(window.end + PATIENCE, visits));
    }
    let mut all = Tally::default();
    while let Some(outcome) = tasks.join_next().await {
        match outcome? {
            Ok((tally, returned)) => {
                all.add(tally);
                visitors.extend(returned);
            }
            Err(_) => *all.errors.entry("no response".into()).or_default() += 1,
        }
    }
    all.times.sort_unstable();
    Ok(all)
}

/// Creates visitors who have already visited twice, because the second visit adds a row to `visitors`.
pub async fn create_visitors(address: SocketAddr, count: usize) -> Result<Vec<Visitor>> {
    let mut tasks = JoinSet::new();
    for mut share in share_out(vec![Visitor::default(); count], PREPARING) {
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
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
}

/// Returns whether the server returns 200 for this path.
pub async fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    connection.get(path, "").await.is_ok_and(|response| response.status == 200)
}

fn share_out<T>(things: Vec<T>, shares: usize) -> Vec<Vec<T>> {
    let mut shared: Vec<Vec<T>> = (0..shares).map(|_| Vec::new()).collect();
    for (n, thing) in things.into_iter().enumerate() {
        shared[n % shares].push(thing);
    }
    shared
}
