//! What PostgreSQL refuses, and what the statement itself gets wrong.

use actix_postgres_sessions::{
    batch::{BatchError, Batcher, Statement},
    users::VisitCounter,
};
use futures_util::future::join_all;
use sqlx::{Executor, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::support::TestDatabase;

/// Counts a visit of `user`, and locks the row until this is dropped.
async fn lock_after_a_visit(
    database: &TestDatabase,
    visits: &VisitCounter,
    user: Uuid,
) -> Transaction<'static, Postgres> {
    visits.record(user).await.expect("counted");
    let mut lock = database.pool.begin().await.expect("a transaction");
    let select = sqlx::query("select from users where id = $1 for update").bind(user);
    lock.execute(select).await.expect("a lock");
    lock
}

#[actix_web::test]
async fn a_row_locked_for_long_delays_the_others_and_fails_alone() {
    let database = TestDatabase::new().await;
    let visits = VisitCounter::new(&database.pool);
    let (locked, free) = (Uuid::now_v7(), Uuid::now_v7());
    let lock = lock_after_a_visit(&database, &visits, locked).await;

    // Sixteen visits of the locked user and sixteen of another, in turn and in one batch.
    let calls = (0..32).map(|n| visits.record(if n % 2 == 0 { locked } else { free }));
    let (stuck, counted): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);

    assert!(stuck.iter().all(|(_, result)| matches!(result, Err(BatchError::Database(_)))), "{stuck:?}");
    let counts: Vec<i64> = counted.into_iter().map(|(_, result)| result.expect("counted")).collect();
    assert_eq!(counts, (1..=16).collect::<Vec<_>>());
    lock.rollback().await.expect("released");
    assert_eq!(visits.record(locked).await.expect("counted"), 2, "none of the refused visits was counted");
}

#[actix_web::test]
async fn only_the_first_batch_of_a_crowd_waits_long_for_a_locked_row() {
    let database = TestDatabase::new().await;
    let visits = VisitCounter::new(&database.pool);
    let (locked, free) = (Uuid::now_v7(), Uuid::now_v7());
    let lock = lock_after_a_visit(&database, &visits, locked).await;

    // Five batches, with a visit of the locked user in each: were all to wait as long, the last would be out of time.
    let calls = (0..256).map(|n| visits.record(if n % 32 == 0 { locked } else { free }));
    let outcomes = join_all(calls).await;

    let counted = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
    assert!(counted.copied().eq(1..=248), "{outcomes:?}");
    let refused = |outcome: &&_| matches!(outcome, Err(BatchError::Database(_)));
    assert_eq!(outcomes.iter().filter(refused).count(), 8, "{outcomes:?}");
    lock.rollback().await.expect("released");
    assert_eq!(visits.record(locked).await.expect("counted"), 2, "none of the refused visits was counted");
}

/// Fails as often as it is told to, by a deadlock that PostgreSQL finds.
struct Deadlock;

impl Statement for Deadlock {
    type Item = i32;
    type Output = i64;
    const IDEMPOTENT: bool = false;

    async fn run(&self, connection: &mut PgConnection, items: &[i32]) -> sqlx::Result<Vec<i64>> {
        sqlx::query_scalar("select deadlock(failures) from unnest($1::int[]) as failures")
            .bind(items)
            .fetch_all(connection)
            .await
    }
}

#[actix_web::test]
async fn a_deadlock_is_tried_again_once() {
    let database = TestDatabase::without_schema().await;
    database.execute("create sequence attempts").await;
    database
        .execute(
            "create function deadlock(failures int) returns bigint language plpgsql as $$
            begin
                if nextval('attempts') <= failures then
                    raise exception 'found one' using errcode = '40P01';
                end if;
                return currval('attempts');
            end $$",
        )
        .await;
    let batcher = Batcher::spawn(&database.options, Deadlock);

    assert_eq!(batcher.call(1).await.expect("the second try"), 2);
    let outcome = batcher.call(9).await;
    assert!(matches!(outcome, Err(BatchError::Database(_))), "{outcome:?}");
    assert_eq!(database.number("select last_value from attempts").await, 4);
}

/// Panics at zero.
struct Reciprocal;

impl Statement for Reciprocal {
    type Item = i32;
    type Output = i32;
    const IDEMPOTENT: bool = false;

    async fn run(&self, _: &mut PgConnection, items: &[i32]) -> sqlx::Result<Vec<i32>> {
        Ok(items.iter().map(|n| 1 / n).collect())
    }
}

#[actix_web::test]
async fn a_panic_in_a_statement_fails_its_callers_and_the_batcher_lives() {
    let database = TestDatabase::without_schema().await;
    let batcher = Batcher::spawn(&database.options, Reciprocal);

    let outcome = batcher.call(0).await;

    assert!(matches!(outcome, Err(BatchError::Panicked)), "{outcome:?}");
    assert_eq!(batcher.call(1).await.expect("an answer"), 1);
}
