//! A connection for a statement that isn't shared.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::{Instant, timeout};

use crate::is_alive;

/// How long a call waits.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How often to look for an idle connection.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Returns an idle connection of the pool, or a new one, whichever comes first.
///
/// [`PgPool::acquire`] chooses only once. If it has begun to open a connection, it keeps trying while PostgreSQL accepts
/// no more of them, even if a connection of the pool becomes idle. It also gives up a connection that it has begun to
/// open, so a far server would never be reached. Here, opening it goes on, and a later call gets the connection.
///
/// # Errors
/// Returns the error of [`PgPool::acquire`], or [`sqlx::Error::PoolTimedOut`] after 1.5 seconds.
pub async fn acquire(pool: &PgPool) -> sqlx::Result<PoolConnection<Postgres>> {
    let start = Instant::now();
    let mut acquiring = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    loop {
        if let Ok(result) = timeout(CHECK_INTERVAL, &mut acquiring).await {
            return result.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        }
        if start.elapsed() > ACQUIRE_TIMEOUT {
            return Err(sqlx::Error::PoolTimedOut);
        }
        if let Some(mut idle) = pool.try_acquire() {
            let is_alive = match select(&mut acquiring, pin!(is_alive(&mut idle))).await {
                Either::Left((result, _)) => return result.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
                Either::Right((is_alive, _)) => is_alive,
            };
            if is_alive {
                return Ok(idle);
            }
            idle.close_on_drop();
        }
    }
}
