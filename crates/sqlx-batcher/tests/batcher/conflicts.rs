//! Tests rows that other transactions have locked.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use sqlx::{Postgres, Transaction};
use sqlx_batcher::{Batcher, DEADLINE, Error, MAX_BATCH};

use crate::support::{COUNTERS, Count, TestDatabase, advance, eventually, results, start_calls};

const LOCKED: i64 = 0;

/// Returns a database with a counter, and a transaction that has locked the counter's row.
async fn locked() -> (TestDatabase, Transaction<'static, Postgres>) {
    let database = TestDatabase::new().await;
    database.execute(COUNTERS).await;
    database.execute("insert into counters values (0, 0)").await;
    let mut lock = database.pool.begin().await.expect("a transaction");
    sqlx::query("select from counters where id = 0 for update").execute(&mut *lock).await.expect("a lock");
    (database, lock)
}

#[tokio::test]
async fn a_call_succeeds_if_its_row_is_unlocked_after_several_lock_timeouts() {
    let (database, lock) = locked().await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());

    let calls = start_calls(&batcher, [LOCKED]).await;
    eventually("three attempts", async || count.attempts().len() >= 3).await;
    lock.rollback().await.expect("released");

    results(calls).await.pop().expect("a result").expect("counted");
    assert_eq!(database.number("select value from counters").await, 1);
}

#[tokio::test]
async fn a_call_fails_with_a_lock_timeout_if_its_row_is_never_unlocked() {
    let (database, _lock) = locked().await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());

    let calls = start_calls(&batcher, [LOCKED]).await;
    eventually("an attempt", async || !count.attempts().is_empty()).await;
    advance(DEADLINE * 2 / 3).await;

    let result = results(calls).await.pop().expect("a result");
    let Err(Error::Database(error)) = result else { panic!("{result:?}") };
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("55P03"), "{error:?}");
}

#[tokio::test]
async fn a_locked_row_does_not_fail_other_calls() {
    let (database, _lock) = locked().await;
    let batcher = Batcher::new(&database.options, Count::default());

    // Many calls are for the locked row. They are in a batch with calls for other rows.
    let calls = start_calls(&batcher, (0..60).map(|n| if n % 3 == 0 { LOCKED } else { n })).await;

    for (n, call) in (0..60).zip(calls) {
        if n % 3 != 0 {
            results(vec![call]).await.pop().expect("a result").expect("counted");
        }
    }
}

#[tokio::test]
async fn calls_for_a_row_known_to_be_locked_are_sent_separately() {
    let (database, _lock) = locked().await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());
    let first = start_calls(&batcher, [LOCKED]).await;
    eventually("an attempt", async || !count.attempts().is_empty()).await;
    advance(DEADLINE * 2 / 3).await;
    assert!(results(first).await.pop().expect("a result").is_err());

    for n in 1..=5 {
        let mut calls =
            start_calls(&batcher, (0..10).map(|i| if i == 3 { LOCKED } else { 10 * n + i })).await;
        drop(calls.remove(3));
        assert!(results(calls).await.into_iter().all(|result| result.is_ok()));
    }

    for attempt in count.attempts() {
        let is_mixed = attempt.contains(&LOCKED) && attempt.iter().any(|id| *id != LOCKED);
        assert!(!is_mixed, "{attempt:?}");
    }
}

#[tokio::test]
async fn most_statements_serve_other_calls_while_a_row_is_locked() {
    let (database, _lock) = locked().await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());
    let _waiting = start_calls(&batcher, [LOCKED]).await;

    for n in 1..=50 {
        batcher.call(n).await.expect("counted");
    }

    let locked = count.attempts().iter().filter(|ids| ids.contains(&LOCKED)).count();
    assert!((2..=25).contains(&locked), "{locked} attempts for the locked row, 50 for others");
}

#[tokio::test]
async fn calls_for_a_locked_row_are_sent_in_batches_of_at_most_max_batch() {
    let (database, lock) = locked().await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());

    let calls = start_calls(&batcher, [LOCKED; 300]).await;
    eventually("five attempts", async || count.attempts().len() >= 5).await;
    lock.rollback().await.expect("released");

    assert!(results(calls).await.into_iter().all(|result| result.is_ok()));
    assert!(count.attempts().iter().all(|ids| ids.len() <= MAX_BATCH));
}

/// Several batchers write to one row. As with slow commits, each holds the lock longer than the others' lock timeout.
#[tokio::test]
async fn every_call_succeeds_even_if_commits_take_longer_than_the_lock_timeout() {
    let database = TestDatabase::new().await;
    database.execute(COUNTERS).await;
    database
        .execute(
            "create function pause() returns trigger language plpgsql
                 as 'begin perform pg_sleep(0.025); return null; end';
             create trigger pause after insert or update on counters for each row execute function pause()",
        )
        .await;
    let batchers: Vec<_> = (0..4).map(|_| Batcher::new(&database.options, Count::default())).collect();

    let calls = stream::iter(0..60).map(|n| batchers[n % 4].call(1)).buffer_unordered(6);
    let results: Vec<_> =
        tokio::time::timeout(Duration::from_secs(30), calls.collect()).await.expect("an end");

    for result in results {
        result.expect("counted");
    }
    assert_eq!(database.number("select value from counters").await, 60);
}
