//! Deletes expired sessions in the background.

use std::{ops::Range, time::Duration};

use actix_session_postgres::PgSessionStore;
use anyhow::Context;
use metrics::counter;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

/// Maximum number of rows that one statement deletes, so that no request waits long for a lock.
const BATCH: u32 = 200;

/// Time between two sweeps. It is random, so that replicas that start together don't sweep at the same time.
pub const INTERVAL: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(90);

/// The number of rows that a [`sweep`] has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions.
    pub sessions: u64,
}

/// Deletes all sessions that expired before the current hour.
///
/// # Errors
/// Returns an error if the database can't be reached. Rows that have been deleted by then stay deleted.
pub async fn sweep(pool: &PgPool, _max_age: Duration) -> anyhow::Result<Swept> {
    let store = PgSessionStore::new(pool.clone());
    let mut total = 0;
    loop {
        let deleted = timeout(Duration::from_secs(10), store.sweep(BATCH)).await?;
        let deleted = deleted.context("delete expired sessions")?;
        total += deleted;
        if deleted < BATCH.into() {
            return Ok(Swept { sessions: total });
        }
        // Leaves most of the database's time for requests.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Sweeps forever, with a random pause from `interval` before each sweep. The future can be dropped in the middle of a
/// batch, because PostgreSQL rolls the batch back.
pub async fn run(pool: &PgPool, max_age: Duration, interval: Range<Duration>) -> ! {
    loop {
        sleep(rand::random_range(interval.clone())).await;
        match sweep(pool, max_age).await {
            Ok(Swept { sessions: 0 }) => tracing::debug!("nothing to sweep"),
            Ok(Swept { sessions }) => {
                counter!("sessions_swept_total").increment(sessions);
                tracing::info!(sessions, "swept expired rows");
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the sweep failed; trying again"),
        }
    }
}
