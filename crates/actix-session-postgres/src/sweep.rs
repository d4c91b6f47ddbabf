//! Deletes expired sessions. They are already invalid, so this only keeps the table from growing. Also
//! shortens sessions that exceed the current settings.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    PgSessionStore, SessionId, TARGET, count,
    owner::Owner,
    sql::replanned,
    statements::{Lifetime, is_locked},
    store::{connection, timed_out},
};

/// Maximum number of rows that [`PgSessionStore::sweep_every`] deletes per statement.
const BATCH: u32 = 200;

/// Maximum number of rows that it shortens per statement. Each statement reads the table from the start.
const SHORTEN_BATCH: u32 = 2_000;

/// Time limit for each of these statements.
const LIMIT: Duration = Duration::from_secs(60);

/// Pause between two of these statements, so that the database has time for visits.
const PAUSE: Duration = Duration::from_millis(20);

/// A sweep that runs in the background until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the sweep"]
pub struct Sweep(JoinHandle<()>);

impl Drop for Sweep {
    fn drop(&mut self) {
        // PostgreSQL rolls back uncommitted changes.
        self.0.abort();
    }
}

/// A transaction of the sweep: a statement that finds rows, and one that changes them.
#[derive(Clone, Copy)]
struct Work<'a> {
    find: &'a str,
    change: &'a str,
    /// For [`PgSessionStore::shorten`]: whether the sessions are remembered, and their limits.
    limits: Option<(bool, Lifetime)>,
}

impl<O: Owner> PgSessionStore<O> {
    /// Deletes up to `limit` sessions that expired before the current hour, and returns how many it deleted.
    ///
    /// If another replica is sweeping, it returns zero without deleting anything.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sweep(&self, limit: u32) -> sqlx::Result<u64> {
        let work = Work { find: &self.sql.expired, change: &self.sql.delete_expired, limits: None };
        let deleted = self.work(work, limit).await?;
        count("sessions_swept_total", deleted);
        Ok(deleted)
    }

    /// Shortens up to `limit` sessions that exceed [`limits`](Self::limits) or
    /// [`remembered_limits`](Self::remembered_limits), and returns how many it shortened.
    ///
    /// It reads the whole table. If another replica is sweeping, or if no limits are set, it does nothing and returns zero.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn shorten(&self, limit: u32) -> sqlx::Result<u64> {
        let mut shortened = 0;
        for (remembered, limits) in [false, true].into_iter().zip(self.limits) {
            if let Some(limits) = limits {
                let limits = Some((remembered, limits));
                let work = Work { find: &self.sql.outlasting, change: &self.sql.shorten, limits };
                shortened += self.work(work, limit).await?;
            }
        }
        Ok(shortened)
    }

    async fn work(&self, work: Work<'_>, limit: u32) -> sqlx::Result<u64> {
        let mut connection = connection(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let lock = sqlx::query_scalar(replanned(&self.sql.sweep_lock));
        let is_first: bool = lock.fetch_one(&mut *transaction).await?;
        if !is_first {
            return Ok(0);
        }
        let mut find = sqlx::query_scalar(replanned(work.find)).bind(i64::from(limit));
        if let Some((remembered, limits)) = work.limits {
            let patience = AssertSqlSafe(format!("set local statement_timeout = '{LIMIT:?}'"));
            sqlx::query(patience).execute(&mut *transaction).await?;
            find = find.bind(limits.idle).bind(limits.max_age).bind(remembered);
        }
        let found: Vec<SessionId> = find.fetch_all(&mut *transaction).await?;
        let changed = change(&mut transaction, work, &found).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Sweeps and shortens immediately, and then about once per `interval`, until the returned value is dropped.
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
                    // The search reads the whole table. If it finds little, it gets at most 1% of the time.
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
        match timeout(LIMIT, work()).await.unwrap_or_else(|_| Err(timed_out())) {
            Ok(changed) => {
                sessions += changed;
                if changed < limit.into() {
                    break Some(begin.elapsed());
                }
            }
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

/// Deletes or shortens these sessions. If another transaction has locked one of the rows, tries each half
/// separately, and leaves the locked row for a later sweep. (Citus rejects `for update skip locked`.)
async fn change(transaction: &mut PgConnection, work: Work<'_>, ids: &[SessionId]) -> sqlx::Result<u64> {
    let mut attempt = transaction.begin().await?;
    sqlx::query("set local lock_timeout = '50ms'").execute(&mut *attempt).await?;
    let mut statement = sqlx::query(replanned(work.change)).bind(ids);
    if let Some((_, limits)) = work.limits {
        statement = statement.bind(limits.idle).bind(limits.max_age);
    }
    match statement.execute(&mut *attempt).await {
        Ok(changed) => attempt.commit().await.map(|()| changed.rows_affected()),
        Err(error) if is_locked(&error) => {
            attempt.rollback().await?;
            let (one, other) = ids.split_at(ids.len() / 2);
            if one.is_empty() {
                return Ok(0);
            }
            let one = Box::pin(change(transaction, work, one)).await?;
            Ok(one + Box::pin(change(transaction, work, other)).await?)
        }
        Err(error) => Err(error),
    }
}

/// Returns a random number from 0 to 1, which comes from the seed of a hash map.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}
