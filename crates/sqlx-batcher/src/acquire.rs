//! A connection for a statement that isn't shared.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout;

use crate::is_alive;

/// How often to look for an idle connection.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Returns an idle connection of the pool, or a new one, whichever comes first.
///
/// [`PgPool::acquire`] chooses only once. If it has begun to open a connection, it keeps trying while PostgreSQL accepts
/// no more of them, even if a connection of the pool becomes idle.
///
/// # Errors
/// Returns the error of [`PgPool::acquire`].
pub async fn acquire(pool: &PgPool) -> sqlx::Result<PoolConnection<Postgres>> {
    // Boxed, because it takes 14 KB, and every future that may need a connection contains it.
    let mut acquiring = Box::pin(pool.acquire());
    loop {
        if let Ok(result) = timeout(CHECK_INTERVAL, &mut acquiring).await {
            return result;
        }
        if let Some(mut idle) = pool.try_acquire() {
            let is_alive = match select(&mut acquiring, pin!(is_alive(&mut idle))).await {
                Either::Left((result, _)) => return result,
                Either::Right((is_alive, _)) => is_alive,
            };
            if is_alive {
                return Ok(idle);
            }
            idle.close_on_drop();
        }
    }
}
