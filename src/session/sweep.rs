//! Deletes what has ended: sessions past their time, and the users that no session can bring back.
//!
//! A session that has ended opens nothing whether or not its row is still there ([`PgSessionStore`] sees to that); the
//! sweep only keeps the tables from growing for ever. Any number of replicas may sweep at once.
//!
//! [`PgSessionStore`]: super::PgSessionStore

use std::{ops::Range, time::Duration};

use anyhow::Context;
use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{state, user_of};
use crate::users;

/// Pages of the table that one statement goes through: 128 KiB, less than a thousand sessions as a rule.
const PAGES: i64 = 16;

/// Rows deleted by one statement: few enough that no visit waits long behind it, and that their states fit into memory.
const BATCH: i64 = 1_000;

/// A sweep pauses for so many times as long as its last step took: it works a tenth of the time, and visits go on beside
/// it. In a busy database that is still ten thousand sessions a second and more.
const PAUSES: u32 = 9;

/// The longest pause: a step that took long may have waited for something else than its own work.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Between two sweeps: drawn anew each time, so that replicas started together do not sweep together.
pub const INTERVAL: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(90);

/// A step of a sweep is cut off after this, and the sweep with it, until the next turn: its connection may have gone dead
/// without a word.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

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
/// Goes through the table page by page. An index on `expires_at` would find the ended ones at once, but each visitor's
/// idle clock would have to be moved in it, which costs more: a million sessions in memory are read in 0.2 s.
///
/// # Errors
/// The database's. What was deleted until then stays deleted, and the next sweep deletes the rest.
pub async fn sweep(pool: &PgPool, max_age: Duration) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    let pages = step(page_count(pool)).await.context("sweep sessions")?;
    for first in (0..pages).step_by(PAGES as usize) {
        loop {
            let deleted = step(sweep_pages(pool, first)).await.context("sweep sessions")?;
            swept.sessions += deleted.sessions;
            swept.users += deleted.users;
            if (deleted.sessions as i64) < BATCH {
                break;
            }
        }
    }
    // Those who logged out left no session behind to tell of them.
    loop {
        let deleted = step(users::delete_older_than(pool, max_age, BATCH)).await.context("sweep users")?;
        swept.users += deleted;
        if (deleted as i64) < BATCH {
            return Ok(swept);
        }
    }
}

async fn sweep_pages(pool: &PgPool, first: i64) -> sqlx::Result<Swept> {
    let ended = delete_ended_sessions(pool, first).await?;
    let users: Vec<_> = ended.iter().filter_map(|column| user_of(&state::decode(column).ok()?)).collect();
    Ok(Swept { sessions: ended.len() as u64, users: users::delete(pool, &users).await? })
}

/// One step of a sweep, and the pause after it.
async fn step<T>(step: impl Future<Output = sqlx::Result<T>>) -> anyhow::Result<T> {
    let start = Instant::now();
    let done = timeout(STEP_TIMEOUT, step).await??;
    sleep((start.elapsed() * PAUSES).min(LONGEST_PAUSE)).await;
    Ok(done)
}

/// Sweeps again and again, with a pause from `interval` before each ([`INTERVAL`] in production), until `stop` is
/// cancelled. A failed sweep is logged, and tried again at the next turn.
pub async fn run(pool: PgPool, max_age: Duration, interval: Range<Duration>, stop: CancellationToken) {
    loop {
        let pause = rand::random_range(interval.clone());
        let turn = async {
            sleep(pause).await;
            match sweep(&pool, max_age).await {
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

async fn page_count(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select pg_relation_size('sessions') / current_setting('block_size')::bigint as "pages!"
        "#
    )
    .fetch_one(pool)
    .await
}

/// Up to [`BATCH`] of the [`PAGES`] from `first` on; gives back the states of the rows that it deleted. Rows that another
/// sweep, a logout or a visit holds are left to them.
async fn delete_ended_sessions(pool: &PgPool, first: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        delete from sessions
        where ctid = any(array(
            select ctid
            from sessions
            where ctid >= format('(%s,0)', $1::bigint)::tid
            and ctid < format('(%s,0)', $1::bigint + $2::bigint)::tid
            and expires_at <= now()
            limit $3
            for update skip locked
        ))
        returning state::text as "state!"
        "#,
        first,
        PAGES,
        BATCH,
    )
    // Planned each time: a plan made while the table was small may be to read it whole.
    .persistent(false)
    .fetch_all(pool)
    .await
}
