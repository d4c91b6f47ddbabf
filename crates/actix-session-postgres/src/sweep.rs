//! Deletes expired sessions, so that the table doesn't grow, and shortens sessions that exceed the settings.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use sqlx::query::{Query, QueryScalar};
use sqlx::{Connection, Postgres, Result, postgres::PgArguments};
use sqlx_batcher::acquire;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::statements::{Lifetime, seconds};
use crate::{PgSessionStore, SessionId, TARGET, count, owner::Owner, sql::replanned, store::timed_out};

/// Maximum number of sessions that [`PgSessionStore::sweep_every`] deletes per statement.
const BATCH: u32 = 200;

/// The maximum for shortening. It is larger, as each search reads the table from the start.
const SHORTEN_BATCH: u32 = 2_000;

/// Time limit for each batch.
const LIMIT: Duration = Duration::from_secs(60);

/// Pause between two batches, so that the database has time for requests.
const PAUSE: Duration = Duration::from_millis(20);

/// A sweep that runs in the background until this value is dropped. PostgreSQL then rolls back uncommitted changes.
#[derive(Debug)]
#[must_use = "dropping it stops the sweep"]
pub struct Sweep {
    _task: JoinSet<()>,
}

impl<O: Owner> PgSessionStore<O> {
    /// Deletes up to `limit` sessions that expired before the current hour, and returns how many it deleted: none if
    /// another replica is sweeping.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sweep(&self, limit: u32) -> Result<u64> {
        let find = sqlx::query_scalar(replanned(&self.sql.expired)).bind(i64::from(limit));
        let delete = |ids| sqlx::query(replanned(&self.sql.delete_expired)).bind(ids);
        self.change(find, delete).await.inspect(|deleted| count("sessions_swept_total", *deleted))
    }

    /// Shortens up to `limit` sessions that exceed [`limits`](Self::limits), and up to `limit` that exceed
    /// [`remembered_limits`](Self::remembered_limits). Returns how many it shortened. Reads the whole table, unless
    /// no limits are set or another replica is sweeping.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn shorten(&self, limit: u32) -> Result<u64> {
        let mut shortened = 0;
        for (remembered, limits) in [false, true].into_iter().zip(self.limits) {
            let Some(Lifetime { idle, max_age }) = limits else { continue };
            let (idle, max_age) = (seconds(idle), seconds(max_age));
            let find = sqlx::query_scalar(replanned(&self.sql.outlasting)).bind(i64::from(limit));
            let find = find.bind(idle).bind(max_age).bind(remembered);
            let shorten = |ids| sqlx::query(replanned(&self.sql.shorten)).bind(ids).bind(idle).bind(max_age);
            shortened += self.change(find, shorten).await?;
        }
        Ok(shortened)
    }

    /// Finds sessions with one statement and changes them with another. If a row is locked, tries each half separately
    /// and leaves that row for a later sweep. (Citus rejects `for update skip locked`.)
    async fn change<'q>(
        &self,
        find: QueryScalar<'_, Postgres, SessionId, PgArguments>,
        change: impl Fn(Vec<SessionId>) -> Query<'q, Postgres, PgArguments>,
    ) -> Result<u64> {
        let mut connection = acquire(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let lock = sqlx::query_scalar::<_, bool>(replanned(&self.sql.sweep_lock));
        if !lock.fetch_one(&mut *transaction).await? {
            return Ok(0);
        }
        let found = find.fetch_all(&mut *transaction).await?;
        sqlx::query("set local lock_timeout = '50ms'").execute(&mut *transaction).await?;
        let (mut parts, mut changed) = (vec![&found[..]], 0);
        while let Some(ids) = parts.pop() {
            let mut attempt = transaction.begin().await?;
            match change(ids.to_vec()).execute(&mut *attempt).await {
                Ok(done) => {
                    attempt.commit().await?;
                    changed += done.rows_affected();
                }
                // A row is locked (`lock_not_available`).
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                    attempt.rollback().await?;
                    if ids.len() > 1 {
                        parts.extend(ids.chunks(ids.len().div_ceil(2)));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        transaction.commit().await?;
        Ok(changed)
    }

    /// Sweeps and shortens sessions immediately, and again after random pauses of 0.5 to 1.5 times `interval`, until
    /// the returned value is dropped. Any number of replicas can do this at the same time.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn sweep_every(&self, interval: Duration) -> Sweep {
        let store = self.clone();
        let task = async move {
            let mut next = Instant::now();
            loop {
                repeat(BATCH, "swept expired sessions", || store.sweep(BATCH)).await;
                if next <= Instant::now() {
                    let search = || store.shorten(SHORTEN_BATCH);
                    let took = repeat(SHORTEN_BATCH, "shortened sessions", search).await;
                    // The search reads the whole table, so it may take only 1% of the time.
                    next = Instant::now() + took * 100;
                }
                // The seed of a hash map is random.
                let percent = 50 + RandomState::new().hash_one(()) as u32 % 100;
                sleep(interval * percent / 100).await;
            }
        };
        Sweep { _task: JoinSet::from_iter([task]) }
    }
}

/// Repeats `work` until it changes fewer than `limit` sessions or fails. Returns how long the last call took, or zero
/// if it failed.
async fn repeat<W: Future<Output = Result<u64>>>(limit: u32, done: &str, work: impl Fn() -> W) -> Duration {
    let warn = |error: &sqlx::Error| tracing::warn!(target: TARGET, %error, "the sweep failed; trying again");
    let mut sessions = 0;
    let took = loop {
        let begin = Instant::now();
        let changed = timeout(LIMIT, work()).await.unwrap_or_else(timed_out).inspect_err(warn);
        let Ok(changed) = changed else { break Duration::ZERO };
        sessions += changed;
        if changed < limit.into() {
            break begin.elapsed();
        }
        sleep(PAUSE).await;
    };
    if sessions > 0 {
        tracing::info!(target: TARGET, sessions, "{done}");
    }
    took
}
