//! Deletes expired sessions, and shortens those that exceed the current settings. Expired sessions are already
//! invalid, so deleting them only keeps the table from growing.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use sqlx::query::{Query, QueryScalar};
use sqlx::{Connection, Postgres, postgres::PgArguments};
use sqlx_batcher::acquire;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::statements::{Lifetime, is_locked};
use crate::{PgSessionStore, SessionId, TARGET, count, owner::Owner, sql::replanned, store::timed_out};

/// Maximum number of rows that [`PgSessionStore::sweep_every`] deletes per statement.
const BATCH: u32 = 200;

/// Maximum number of sessions that [`PgSessionStore::sweep_every`] shortens per statement. Each statement reads the
/// table from the start.
const SHORTEN_BATCH: u32 = 2_000;

/// Time limit for each batch.
const LIMIT: Duration = Duration::from_secs(60);

/// Pause between two batches, so that the database has time for requests.
const PAUSE: Duration = Duration::from_millis(20);

/// A sweep that runs in the background until this value is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the sweep"]
pub struct Sweep(JoinHandle<()>);

impl Drop for Sweep {
    fn drop(&mut self) {
        // PostgreSQL rolls back uncommitted changes.
        self.0.abort();
    }
}

impl<O: Owner> PgSessionStore<O> {
    /// Deletes up to `limit` sessions that expired before the current hour, and returns how many it deleted.
    ///
    /// If another replica is sweeping, this returns zero without deleting anything.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sweep(&self, limit: u32) -> sqlx::Result<u64> {
        let find = sqlx::query_scalar(replanned(&self.sql.expired)).bind(i64::from(limit));
        let delete = |ids| sqlx::query(replanned(&self.sql.delete_expired)).bind(ids);
        let deleted = self.change(find, delete).await?;
        count("sessions_swept_total", deleted);
        Ok(deleted)
    }

    /// Shortens up to `limit` sessions that exceed [`limits`](Self::limits) or
    /// [`remembered_limits`](Self::remembered_limits), and returns how many it shortened.
    ///
    /// This reads the whole table. If another replica is sweeping, or if no limits are set, it does nothing and returns
    /// zero.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn shorten(&self, limit: u32) -> sqlx::Result<u64> {
        let mut shortened = 0;
        for (remembered, limits) in [false, true].into_iter().zip(self.limits) {
            let Some(Lifetime { idle, max_age }) = limits else { continue };
            let find = sqlx::query_scalar(replanned(&self.sql.outlasting)).bind(i64::from(limit));
            let find = find.bind(idle).bind(max_age).bind(remembered);
            let shorten = |ids| sqlx::query(replanned(&self.sql.shorten)).bind(ids).bind(idle).bind(max_age);
            shortened += self.change(find, shorten).await?;
        }
        Ok(shortened)
    }

    /// Finds sessions with one statement and changes them with another. If another transaction has locked one
    /// of the rows, tries each half separately, and leaves the locked row for a later sweep. (Citus rejects `for
    /// update skip locked`.)
    async fn change<'q>(
        &self,
        find: QueryScalar<'_, Postgres, SessionId, PgArguments>,
        change: impl Fn(Vec<SessionId>) -> Query<'q, Postgres, PgArguments>,
    ) -> sqlx::Result<u64> {
        let mut connection = acquire(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let lock = sqlx::query_scalar(replanned(&self.sql.sweep_lock));
        let is_first: bool = lock.fetch_one(&mut *transaction).await?;
        if !is_first {
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
                Err(error) if is_locked(&error) => {
                    attempt.rollback().await?;
                    if ids.len() > 1 {
                        let (one, other) = ids.split_at(ids.len() / 2);
                        parts.extend([one, other]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        transaction.commit().await?;
        Ok(changed)
    }

    /// Sweeps and shortens sessions immediately, and then about once per `interval`, until the returned value is
    /// dropped.
    ///
    /// The pause between two sweeps is random, from 0.5 to 1.5 times `interval`. Any number of replicas can
    /// do this at the same time.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn sweep_every(&self, interval: Duration) -> Sweep {
        let store = self.clone();
        Sweep(tokio::spawn(async move {
            let mut next = Instant::now();
            loop {
                repeat(BATCH, "swept expired sessions", || store.sweep(BATCH)).await;
                let search = || store.shorten(SHORTEN_BATCH);
                if next <= Instant::now()
                    && let Some(took) = repeat(SHORTEN_BATCH, "shortened sessions", search).await
                {
                    // The search reads the whole table, so the next one waits 100 times as long as this one took.
                    next = Instant::now() + took * 100;
                }
                sleep(interval.mul_f64(0.5 + random())).await;
            }
        }))
    }
}

/// Repeats `work` until it changes fewer than `limit` sessions or fails. Returns how long the last call took, unless it
/// failed.
async fn repeat<W>(limit: u32, done: &str, work: impl Fn() -> W) -> Option<Duration>
where
    W: Future<Output = sqlx::Result<u64>>,
{
    let mut sessions = 0;
    let took = loop {
        let begin = Instant::now();
        match timeout(LIMIT, work()).await.unwrap_or_else(timed_out) {
            Ok(changed) if changed < limit.into() => {
                sessions += changed;
                break Some(begin.elapsed());
            }
            Ok(changed) => sessions += changed,
            Err(error) => {
                tracing::warn!(target: TARGET, %error, "the sweep failed; trying again");
                break None;
            }
        }
        sleep(PAUSE).await;
    };
    if sessions > 0 {
        tracing::info!(target: TARGET, sessions, "{done}");
    }
    took
}

/// Returns a random number from 0 to 1, derived from the seed of a hash map.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}
