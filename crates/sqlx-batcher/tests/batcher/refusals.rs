//! Tests statements that PostgreSQL rejects, and incorrect implementations of `Statement`.

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use sqlx_batcher::{Batcher, Error, Statement};

use crate::support::{COUNTERS, Count, Numbers, TestDatabase, results, start_calls};

#[tokio::test]
async fn a_bad_item_fails_only_its_own_call() {
    let numbers = Numbers::new().await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, [1, -1, 2]).await;
    held.release().await;

    let results = results(calls).await;
    assert!(matches!(results[..], [Ok(2), Err(Error::Database(_)), Ok(4)]), "{results:?}");
    assert_eq!(numbers.database.number("select count(*) from numbers").await, 3);
}

/// A trigger function that rejects rows. The sequence counts attempts, even those that are rolled back.
const REFUSE: &str = "
    create sequence attempts;
    create function refuse() returns trigger language plpgsql as $$
    begin
        if nextval('attempts') <= tg_argv[1]::bigint then
            raise exception 'refused' using errcode = tg_argv[0];
        end if;
        return new;
    end $$";

const ATTEMPTS: &str = "select last_value from attempts";

impl Numbers {
    /// Rejects rows with this SQLSTATE until this many inserts have been attempted.
    async fn refuse(&self, condition: &str, sqlstate: &str, rows: u32) {
        self.database.execute(REFUSE).await;
        let trigger = format!(
            "create trigger refuse before insert on numbers
            for each row when ({condition}) execute function refuse('{sqlstate}', {rows})"
        );
        self.database.pool.execute(AssertSqlSafe(trigger)).await.expect("a trigger");
    }
}

#[tokio::test]
async fn a_batch_that_fails_with_a_deadlock_is_retried() {
    let numbers = Numbers::new().await;
    numbers.refuse("new.n > 0", "40P01", 3).await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, [1, 2, 3]).await;
    held.release().await;

    let results = results(calls).await;
    assert!(matches!(results[..], [Ok(2), Ok(4), Ok(6)]), "{results:?}");
}

#[tokio::test]
async fn a_damaged_row_fails_only_its_own_call() {
    let numbers = Numbers::new().await;
    numbers.refuse("new.n = 13", "XX001", 1000).await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, [1, 13, 2]).await;
    held.release().await;

    let results = results(calls).await;
    assert!(matches!(results[..], [Ok(2), Err(Error::Database(_)), Ok(4)]), "{results:?}");
}

#[tokio::test]
async fn a_rejected_item_is_not_retried() {
    let numbers = Numbers::new().await;
    numbers.refuse("new.n = 13", "P0001", 1000).await;

    let result = numbers.batcher.call(13).await;

    assert!(matches!(result, Err(Error::Database(_))), "{result:?}");
    assert_eq!(numbers.database.number(ATTEMPTS).await, 1);
}

/// Calls a new batcher with all `ids` on a table that rejects 77. The calls are queued before the batcher has
/// connected, so they share statements. Returns whether each call succeeded, and the number of attempts.
async fn count_without_77(ids: &[i64]) -> (Vec<bool>, usize) {
    let database = TestDatabase::new().await;
    database.execute(COUNTERS).await;
    database.execute("alter table counters add constraint no_77 check (id <> 77)").await;
    let count = Count::default();
    let batcher = Batcher::new(&database.options, count.clone());
    let calls = start_calls(&batcher, ids.iter().copied()).await;
    let succeeded = results(calls).await.iter().map(Result::is_ok).collect();
    (succeeded, count.attempts().len())
}

#[tokio::test]
async fn isolating_one_bad_item_among_many_takes_few_statements() {
    let ids: Vec<i64> = (0..100).collect();

    let (succeeded, attempts) = count_without_77(&ids).await;

    assert_eq!(succeeded, ids.iter().map(|id| *id != 77).collect::<Vec<_>>());
    assert!(attempts <= 30, "{attempts}");
}

#[tokio::test]
async fn equal_bad_items_are_rejected_together_in_few_statements() {
    let ids: Vec<i64> = (0..100).map(|n| if n % 2 == 0 { 77 } else { n + 100 }).collect();

    let (succeeded, attempts) = count_without_77(&ids).await;

    assert_eq!(succeeded, ids.iter().map(|id| *id != 77).collect::<Vec<_>>());
    assert!(attempts <= 30, "{attempts}");
}

#[tokio::test]
async fn equal_items_that_cannot_share_a_statement_fail_together() {
    let numbers = Numbers::new().await;
    numbers.database.execute("create unique index on numbers (n)").await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, [1, 1, 2]).await;
    held.release().await;

    let results = results(calls).await;
    assert!(matches!(results[..], [Err(Error::Database(_)), Err(Error::Database(_)), Ok(4)]), "{results:?}");
}

#[tokio::test]
async fn a_statement_that_may_have_been_committed_is_not_retried() {
    let numbers = Numbers::new().await;
    numbers.refuse("new.n = 13", "40003", 1000).await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, [13, 13]).await;
    held.release().await;

    let results = results(calls).await;
    assert!(matches!(results[..], [Err(Error::Database(_)), Err(Error::Database(_))]), "{results:?}");
    assert_eq!(numbers.database.number(ATTEMPTS).await, 1);
}

/// Panics if an item is zero.
struct Reciprocal;

impl Statement for Reciprocal {
    type Item = i64;
    type Output = i64;

    async fn run(&self, _: &mut PgConnection, items: &[i64]) -> sqlx::Result<Vec<i64>> {
        Ok(items.iter().map(|n| 1 / n).collect())
    }
}

#[tokio::test]
async fn a_panic_in_a_statement_fails_only_its_callers() {
    let database = TestDatabase::new().await;
    let batcher = Batcher::new(&database.options, Reciprocal);

    let result = batcher.call(0).await;

    assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
    assert_eq!(batcher.call(1).await.expect("an output"), 1);
}

/// Returns as many outputs as its only item says.
struct Outputs;

impl Statement for Outputs {
    type Item = usize;
    type Output = ();

    async fn run(&self, _: &mut PgConnection, items: &[usize]) -> sqlx::Result<Vec<()>> {
        Ok(vec![(); items[0]])
    }
}

#[tokio::test]
async fn a_statement_that_returns_the_wrong_number_of_outputs_fails() {
    let database = TestDatabase::new().await;
    let batcher = Batcher::new(&database.options, Outputs);

    for wrong in [0, 2] {
        let result = batcher.call(wrong).await;
        assert!(matches!(result, Err(Error::Panicked)), "{wrong}: {result:?}");
    }
    batcher.call(1).await.expect("an output");
}
