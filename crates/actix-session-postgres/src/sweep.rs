//! Removes expired sessions from the table. They are invalid already, so this only keeps the table from growing.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    PgSessionStore, SessionId, TARGET, count::count, owner::Owner, sql::replanned, store::connection,
};

/// Maximum number of rows that one statement of [`PgSessionStore::sweep_every`] deletes.
const BATCH: u32 = 200;

/// Time limit for one of these statements.
const LIMIT: Duration = Duration::from_secs(10);

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

impl<O: Owner> PgSessionStore<O> {
    /// Deletes up to `limit` sessions that expired before the current hour, and returns how many.
    ///
    /// If another replica is sweeping, it deletes nothing and returns zero.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sweep(&self, limit: u32) -> sqlx::Result<u64> {
        let mut connection = connection(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let is_first = sqlx::query_scalar(replanned(&self.sql.sweep_lock)).fetch_one(&mut *transaction);
        if !is_first.await? {
            return Ok(0);
        }
        let expired = sqlx::query_scalar(replanned(&self.sql.expired)).bind(i64::from(limit));
        let expired: Vec<SessionId> = expired.fetch_all(&mut *transaction).await?;
        let deleted = self.delete_expired(&mut transaction, &expired).await?;
        transaction.commit().await?;
        count("sessions_swept_total", deleted);
        Ok(deleted)
    }

    /// Deletes these sessions. If another transaction locks one of the rows, tries each half, and leaves that row for a
    /// later sweep. (`for update skip locked` would do the same, but Citus refuses it.)
    async fn delete_expired(&self, transaction: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<u64> {
        let mut attempt = transaction.begin().await?;
        sqlx::query("set local lock_timeout = '50ms'").execute(&mut *attempt).await?;
        let delete = sqlx::query(replanned(&self.sql.delete_expired)).bind(ids);
        match delete.execute(&mut *attempt).await {
            Ok(deleted) => attempt.commit().await.map(|()| deleted.rows_affected()),
            Err(error) if is_locked(&error) => {
                attempt.rollback().await?;
                let (one, other) = ids.split_at(ids.len() / 2);
                if one.is_empty() {
                    return Ok(0);
                }
                Ok(Box::pin(self.delete_expired(transaction, one)).await?
                    + Box::pin(self.delete_expired(transaction, other)).await?)
            }
            Err(error) => Err(error),
        }
    }

    /// Sweeps in the background, about once per `interval`, until the returned value is dropped.
    ///
    /// The pause before each sweep is random, from half to one and a half times the interval. Any number of replicas can
    /// do this.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn sweep_every(&self, interval: Duration) -> Sweep {
        let store = self.clone();
        Sweep(tokio::spawn(async move {
            loop {
                sleep(interval.mul_f64(0.5 + random())).await;
                store.sweep_all().await;
            }
        }))
    }

    async fn sweep_all(&self) {
        let mut total = 0;
        loop {
            match timeout(LIMIT, self.sweep(BATCH)).await {
                Ok(Ok(deleted)) => {
                    total += deleted;
                    if deleted < BATCH.into() {
                        break;
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(target: TARGET, %error, "the sweep failed; trying again");
                    break;
                }
                Err(_) => {
                    tracing::warn!(target: TARGET, "the sweep took too long; trying again");
                    break;
                }
            }
            sleep(PAUSE).await;
        }
        if total > 0 {
            tracing::info!(target: TARGET, sessions = total, "swept expired sessions");
        }
    }
}

/// Whether a statement gave up because another transaction holds a row (SQLSTATE `lock_not_available`).
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// Returns a number from 0 to 1, from the seed of a hash map.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}
