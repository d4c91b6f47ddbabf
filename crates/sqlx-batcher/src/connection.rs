//! A batcher's connection, and [`acquire`] for statements that aren't shared.

use std::{collections::hash_map::RandomState, hash::BuildHasher, io, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Row, postgres::PgConnectOptions, raw_sql};
use tokio::time::{Instant, sleep, timeout};

/// How long a connection is used, plus up to a minute at random. By then, the host may have a different address.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

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
        let mut inner = PgConnection::connect_with(options).await?;
        ensure_writable(&mut inner).await?;
        let jitter = Duration::from_secs(RandomState::new().hash_one(()) % 60);
        Ok(Self { inner, last_used: Instant::now(), expires: Instant::now() + LIFETIME + jitter })
    }
}

/// Checks that the server responds on this connection and accepts writes. Standbys and demoted servers don't.
///
/// Call it in a pool's hooks, in place of sqlx's own check, which has no time limit.
///
/// # Errors
/// Returns an error if the server is read-only, or doesn't respond within half a second.
pub async fn check(connection: &mut PgConnection) -> sqlx::Result<()> {
    timeout(CHECK_TIMEOUT, ensure_writable(connection)).await.map_err(io::Error::from)?
}

async fn ensure_writable(connection: &mut PgConnection) -> sqlx::Result<()> {
    // This takes one round trip. A prepared statement would take two.
    let row = raw_sql("show transaction_read_only").fetch_one(connection).await?;
    match row.try_get::<&str, _>(0)? {
        "off" => Ok(()),
        _ => Err(sqlx::Error::Protocol("the server is read-only (transaction_read_only is on)".into())),
    }
}

/// Returns an idle connection of the pool, or a new one, whichever comes first.
///
/// [`PgPool::acquire`] makes this choice only once, so it may keep trying to connect even if a connection becomes idle.
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
    let acquiring = tokio::spawn(acquiring);
    let idle = async {
        loop {
            if let Some(mut idle) = pool.try_acquire() {
                if check(&mut idle).await.is_ok() {
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
