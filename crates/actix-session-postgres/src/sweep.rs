//! Removes expired sessions from the table. They are already invalid, so this only keeps the table from
//! growing. Also shortens sessions that outlast the current settings.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    PgSessionStore, SessionId, TARGET,
    count::count,
    owner::Owner,
    sql::replanned,
    statements::{Lifetime, is_locked},
    store::{connection, timed_out},
};

/// Maximum number of rows that one statement of [`PgSessionStore::sweep_every`] deletes.
const BATCH: u32 = 200;

/// Maximum number that it shortens. Each of these statements reads the table from its start.
const SHORTEN_BATCH: u32 = 2_000;

/// Time limit for one of these statements.
const LIMIT: Duration = Duration::from_secs(60);

/// Leaves most of the database's time for visits.
const PAUSE: Duration = Duration::from_millis(20);

/// A sweep that runs in the background until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the sweep"]
pub struct Sweep(JoinHandle<()>);

impl Drop for Sweep {
    fn drop(&mut self) {
        // PostgreSQL rolls back what is not committed.
        self.0.abort();
    }
}

/// One transaction of the sweep: how it finds rows, and what it does to them.
#[derive(Clone, Copy)]
struct Work<'a> {
    find: &'a str,
    change: &'a str,
    /// For [`PgSessionStore::shorten`]: whether the sessions are remembered, and their limits.
    limits: Option<(bool, Lifetime)>,
}

impl<O: Owner> PgSessionStore<O> {
    /// Deletes up to `limit` sessions that expired before the current hour, and returns how many.
    ///
    /// If another replica is sweeping, it deletes nothing and returns zero.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sweep(&self, limit: u32) -> sqlx::Result<u64> {
        let work = Work { find: &self.sql.expired, change: &self.sql.delete_expired, limits: None };
        let deleted = self.work(work, limit).await?;
        count("sessions_swept_total", deleted);
        Ok(deleted)
    }

    /// Shortens up to `limit` sessions that outlast [`limits`](Self::limits) or
    /// [`remembered_limits`](Self::remembered_limits), and returns how many.
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

    /// Sweeps and shortens in the background, immediately and then about once per `interval`, until the returned value
    /// is dropped.
    ///
    /// The pause between two sweeps is random, from half to one and a half times the interval. Any number of replicas
    /// can do this.
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
                    // It reads the whole table, so a search that finds little gets at most 1 % of the time.
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

/// Deletes or shortens these sessions. If another transaction has locked one of the rows, tries each half,
/// and leaves that row for a later sweep. (`for update skip locked` would do the same, but Citus refuses it.)
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

/// Returns a number from 0 to 1, from the seed of a hash map.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}
