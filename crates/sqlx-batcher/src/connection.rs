//! A batcher's connection, and [`acquire`] for statements that aren't shared.

use std::{io, time::Duration};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Row, postgres::PgConnectOptions, raw_sql};
use tokio::time::{Instant, timeout};

/// How long a connection is used. It is then replaced, because the host name may resolve to a different server.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Time limit for connecting. With TLS, connecting takes nine round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for [`check`]. It leaves two thirds of a call's time for a new connection.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// How long [`acquire`] waits for a connection.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How often to look for an idle connection.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct Connection {
    pub inner: PgConnection,
    pub last_used: Instant,
    pub expires: Instant,
}

impl Connection {
    /// Connects to a server that accepts writes. A host name may resolve to a standby or a demoted server.
    pub async fn open(options: &PgConnectOptions) -> sqlx::Result<Self> {
        let connecting = PgConnection::connect_with(options);
        let mut inner = timeout(CONNECT_TIMEOUT, connecting).await.map_err(io::Error::from)??;
        check(&mut inner).await?;
        Ok(Self { inner, last_used: Instant::now(), expires: Instant::now() + LIFETIME })
    }
}

/// Checks that the server responds on this connection and accepts writes. Standbys and demoted servers don't.
///
/// Call it in a pool's hooks, in place of sqlx's own check, which has no time limit.
///
/// # Errors
/// Returns an error if the server is read-only, or doesn't respond within half a second.
pub async fn check(connection: &mut PgConnection) -> sqlx::Result<()> {
    // This takes one round trip. A prepared statement would take two.
    let shown = raw_sql("show transaction_read_only").fetch_one(connection);
    let row = timeout(CHECK_TIMEOUT, shown).await.map_err(io::Error::from)??;
    match row.try_get::<&str, _>(0)? {
        "off" => Ok(()),
        _ => Err(sqlx::Error::Protocol("the server is read-only (transaction_read_only is on)".into())),
    }
}

/// Returns an idle connection of the pool, or a new one, whichever comes first.
///
/// [`PgPool::acquire`] makes this choice only once, so it may keep trying to connect although a connection became idle.
/// It also stops if the caller gives up, so it might never reach a distant server. After a few milliseconds, this
/// function connects in the background. If the caller gives up, a later call gets the connection.
///
/// # Errors
/// Returns the error of [`PgPool::acquire`], or [`sqlx::Error::PoolTimedOut`] after 1.5 seconds.
pub async fn acquire(pool: &PgPool) -> sqlx::Result<PoolConnection<Postgres>> {
    let mut acquiring = Box::pin(pool.acquire());
    // Most waits are short, and a task would cost more than a short statement.
    if let Ok(result) = timeout(CHECK_INTERVAL, &mut acquiring).await {
        return result;
    }
    let mut acquiring = tokio::spawn(acquiring);
    let either = async {
        loop {
            if let Some(mut idle) = pool.try_acquire() {
                if check(&mut idle).await.is_ok() {
                    return Ok(idle);
                }
                idle.close_on_drop();
            }
            if let Ok(acquired) = timeout(CHECK_INTERVAL, &mut acquiring).await {
                return acquired.unwrap_or(Err(sqlx::Error::WorkerCrashed));
            }
        }
    };
    timeout(ACQUIRE_TIMEOUT - CHECK_INTERVAL, either).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
