//! Deletes what has ended: sessions past their time, and the users that no session can bring back.
//!
//! A session that has ended opens nothing whether or not its row is still there ([`PgSessionStore`] sees to that); the
//! sweep only keeps the tables from growing for ever. Any number of replicas may sweep at once.
//!
//! [`PgSessionStore`]: super::PgSessionStore

use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{state, user_of};
use crate::users;

/// Rows deleted by one statement: enough to be quick, few enough that no visit waits long behind it.
const BATCH: i64 = 1_000;

/// Seconds between two sweeps, drawn anew each time, so that replicas started together do not sweep together.
const INTERVAL_SECONDS: std::ops::Range<u64> = 30..90;

/// A sweep is cut off after this, and goes on at the next turn: its connection may have gone dead without a word.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(60);

/// How many rows a [`sweep`] has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that had ended.
    pub sessions: u64,
    /// Users whose sessions had all ended.
    pub users: u64,
}

/// Deletes every session that has ended, and the users that went with them. `max_age` is the longest that a session can
/// live ([`crate::Config::session_max_age`]).
///
/// # Errors
/// The database's. What was deleted until then stays deleted, and the next sweep goes on from there.
pub async fn sweep(pool: &PgPool, max_age: Duration) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    loop {
        let ended = delete_ended_sessions(pool).await.context("sweep sessions")?;
        let users = ended.iter().filter_map(|column| user_of(&state::decode(column).ok()?));
        swept.users += users::delete(pool, &users.collect::<Vec<_>>()).await.context("sweep users")?;
        swept.sessions += ended.len() as u64;
        if (ended.len() as i64) < BATCH {
            break;
        }
    }
    // Those who logged out left no session behind to tell of them.
    loop {
        let deleted = users::delete_older_than(pool, max_age, BATCH).await.context("sweep users")?;
        swept.users += deleted;
        if (deleted as i64) < BATCH {
            return Ok(swept);
        }
    }
}

/// Sweeps about once a minute until `stop` is cancelled. A failed sweep is logged, and tried again at the next turn.
pub async fn run(pool: PgPool, max_age: Duration, stop: CancellationToken) {
    loop {
        let pause = Duration::from_secs(rand::random_range(INTERVAL_SECONDS));
        let turn = async {
            tokio::time::sleep(pause).await;
            let swept = tokio::time::timeout(SWEEP_TIMEOUT, sweep(&pool, max_age)).await;
            match swept.unwrap_or_else(|late| Err(late.into())) {
                Ok(swept) if swept == Swept::default() => {
                    tracing::debug!("swept: nothing had ended")
                }
                Ok(Swept { sessions, users }) => {
                    tracing::info!(sessions, users, "swept what had ended")
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the sweep failed; it will be tried again")
                }
            }
        };
        // A batch cut short is rolled back by PostgreSQL, so that the sweep may stop anywhere.
        if stop.run_until_cancelled(turn).await.is_none() {
            return;
        }
    }
}

/// One batch, oldest first; gives back the states of the rows that it deleted. Rows that another sweep, a logout or a
/// visit holds are left to them.
async fn delete_ended_sessions(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        delete from sessions
        where id in (
            select id
            from sessions
            where expires_at <= now()
            order by expires_at
            limit $1
            for update skip locked
        )
        returning state::text as "state!"
        "#,
        BATCH,
    )
    .fetch_all(pool)
    .await
}
