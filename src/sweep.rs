//! Deletes expired rows in the background: sessions, and visitors that no session can refer to anymore.

use std::{ops::Range, time::Duration};

use actix_session_postgres::PgSessionStore;
use anyhow::Context;
use metrics::counter;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::visitors;

/// Maximum number of rows that one statement deletes, so that no visit waits long for a lock.
const BATCH: u32 = 200;

/// Time between two sweeps. It is random, so that replicas that start together don't sweep at the same time.
pub const INTERVAL: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(90);

/// The number of rows that a [`sweep`] has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions.
    pub sessions: u64,
    /// Visitors without a session.
    pub visitors: u64,
}

/// Deletes all sessions that expired before the current hour. Also deletes all visitors whose sessions must have ended,
/// because a session lasts at most `max_age`.
///
/// # Errors
/// Returns an error if the database can't be reached. Rows that have been deleted by then stay deleted.
pub async fn sweep(pool: &PgPool, max_age: Duration) -> anyhow::Result<Swept> {
    let store = PgSessionStore::new(pool.clone());
    let sessions = in_batches(async || store.sweep(BATCH).await);
    let visitors = in_batches(async || visitors::delete_expired(pool, max_age, BATCH.into()).await);
    // Runs both, even if the first one fails.
    let (sessions, visitors) = (sessions.await, visitors.await);
    Ok(Swept {
        sessions: sessions.context("delete expired sessions")?,
        visitors: visitors.context("delete expired visitors")?,
    })
}

async fn in_batches(delete: impl AsyncFn() -> sqlx::Result<u64>) -> anyhow::Result<u64> {
    let mut total = 0;
    loop {
        let deleted = timeout(Duration::from_secs(10), delete()).await??;
        total += deleted;
        if deleted < BATCH.into() {
            return Ok(total);
        }
        // Leaves most of the database's time for visits.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sweeps forever, with a random pause from `interval` before each sweep. The future can be dropped in the middle of a
/// batch, because PostgreSQL rolls the batch back.
pub async fn run(pool: &PgPool, max_age: Duration, interval: Range<Duration>) -> ! {
    loop {
        sleep(rand::random_range(interval.clone())).await;
        match sweep(pool, max_age).await {
            Ok(swept) if swept == Swept::default() => tracing::debug!("nothing to sweep"),
            Ok(Swept { sessions, visitors }) => {
                counter!("visitors_swept_total").increment(visitors);
                tracing::info!(sessions, visitors, "swept expired rows");
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the sweep failed; trying again"),
        }
    }
}
