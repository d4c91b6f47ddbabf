//! A batcher's connection. It is checked if it has been idle, and replaced when it is old. This module also
//! contains [`acquire`], for statements that aren't shared.

use std::{collections::hash_map::RandomState, hash::BuildHasher, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Row, pool::PoolConnection, postgres::PgConnectOptions,
    raw_sql,
};
use tokio::time::{Instant, sleep, timeout};

use crate::CHECK_TIMEOUT;

/// How long a connection is used. It is then replaced, because the host name may resolve to a different
/// server. Up to a minute is added at random, so that not all connections are replaced at the same time.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long [`acquire`] waits for a connection.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How often to look for an idle connection.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct Connection {
    pub inner: PgConnection,
    pub last_used: Instant,
    /// When a newer connection should replace this one.
    pub expires: Instant,
}

impl Connection {
    /// Connects to a server that accepts writes. A host name may resolve to a standby or a demoted server.
    pub async fn open(options: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut inner = PgConnection::connect_with(options).await?;
        if !takes_writes(&mut inner).await? {
            return Err(sqlx::Error::Protocol(
                "the server is read-only (transaction_read_only is on)".into(),
            ));
        }
        let now = Instant::now();
        let jitter = Duration::from_secs(RandomState::new().hash_one(()) % 60);
        Ok(Self { inner, last_used: now, expires: now + LIFETIME + jitter })
    }
}

/// Returns whether the server responds on this connection and accepts writes. Standbys and demoted servers
/// don't accept writes.
///
/// Call it in a pool's `after_connect`, `before_acquire` and `after_release` hooks. It replaces sqlx's own check,
/// which has no time limit.
pub async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(timeout(CHECK_TIMEOUT, takes_writes(connection)).await, Ok(Ok(true)))
}

async fn takes_writes(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // This takes one round trip. A prepared statement would take two.
    let row = raw_sql("show transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<&str, _>(0)? == "off")
}

/// Returns an idle connection of the pool, or a new one, whichever comes first.
///
/// [`PgPool::acquire`] makes this choice only once. If PostgreSQL doesn't accept more connections, that method keeps
/// trying to open one, even if one of the pool's connections becomes idle. If the caller gives up, it also stops
/// connecting, so it might never reach a distant server. After a few milliseconds, this function continues to connect
/// in the background, even if the caller gives up, and a later call gets the connection.
///
/// # Errors
/// Returns the error of [`PgPool::acquire`], or [`sqlx::Error::PoolTimedOut`] after 1.5 seconds.
pub async fn acquire(pool: &PgPool) -> sqlx::Result<PoolConnection<Postgres>> {
    let mut acquiring = Box::pin(pool.acquire());
    // Most waits are short, and a task would cost more than a short statement.
    if let Ok(result) = timeout(CHECK_INTERVAL, &mut acquiring).await {
        return result;
    }
    let acquiring = tokio::spawn(acquiring);
    let idle = async {
        loop {
            if let Some(mut idle) = pool.try_acquire() {
                if is_alive(&mut idle).await {
                    return idle;
                }
                idle.close_on_drop();
            }
            sleep(CHECK_INTERVAL).await;
        }
    };
    match timeout(ACQUIRE_TIMEOUT - CHECK_INTERVAL, select(acquiring, pin!(idle))).await {
        Ok(Either::Left((acquired, _))) => acquired.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
        Ok(Either::Right((idle, _))) => Ok(idle),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
