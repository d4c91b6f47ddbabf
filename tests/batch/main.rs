//! The batcher's contract, with a statement that has nothing to do with sessions.

#[path = "../support/mod.rs"]
mod support;

mod outages;
mod refusals;

use actix_postgres_sessions::{
    batch::{BatchError, Batcher, Statement},
    users::VisitCounter,
};
use actix_web::rt;
use futures_util::future::join_all;
use sqlx::{Acquire, Executor, PgConnection, Postgres as Db, Transaction};
use support::TestDatabase;
use uuid::Uuid;

/// Inserts numbers, which the table refuses below zero; gives back their doubles.
struct Double;

impl Statement for Double {
    type Item = i64;
    type Output = i64;
    const IDEMPOTENT: bool = false;

    async fn run(&self, connection: &mut PgConnection, items: &[i64]) -> sqlx::Result<Vec<i64>> {
        sqlx::query("insert into numbers (n) select unnest($1::bigint[])")
            .bind(items)
            .execute(connection)
            .await?;
        Ok(items.iter().map(|n| 2 * n).collect())
    }
}

const TABLE: &str =
    "create table numbers (n bigint check (n >= 0), transaction xid8 default pg_current_xact_id())";

struct Numbers {
    batcher: Batcher<Double>,
    database: TestDatabase,
}

impl Numbers {
    async fn new() -> Self {
        let database = TestDatabase::without_schema().await;
        database.execute(TABLE).await;
        Self { batcher: Batcher::spawn(&database.options, Double), database }
    }

    /// Keeps the batcher's next statement waiting, with one item in it, until the lock is dropped.
    async fn hold(&self) -> (Transaction<'static, Db>, rt::task::JoinHandle<Result<i64, BatchError>>) {
        let mut lock = self.database.pool.begin().await.expect("a transaction");
        lock.acquire()
            .await
            .expect("it")
            .execute("lock table numbers in exclusive mode")
            .await
            .expect("a lock");
        let held = self.call(0);
        let waiting = "select count(*) from pg_locks where relation = 'numbers'::regclass and not granted";
        while self.database.number(waiting).await == 0 {
            rt::task::yield_now().await;
        }
        (lock, held)
    }

    fn call(&self, n: i64) -> rt::task::JoinHandle<Result<i64, BatchError>> {
        let batcher = self.batcher.clone();
        rt::spawn(async move { batcher.call(n).await })
    }

    async fn release(&self, lock: Transaction<'static, Db>) {
        // Everyone who was spawned has come to the queue by now: the runtime runs them in turn.
        for _ in 0..10 {
            rt::task::yield_now().await;
        }
        lock.rollback().await.expect("released");
    }
}

#[actix_web::test]
async fn callers_who_come_during_a_statement_share_the_next_and_its_commit() {
    let numbers = Numbers::new().await;
    let (lock, held) = numbers.hold().await;

    let calls: Vec<_> = (1..=30).map(|n| numbers.call(n)).collect();
    numbers.release(lock).await;
    let doubles: Vec<i64> =
        join_all(calls).await.into_iter().map(|call| call.expect("ran").expect("doubled")).collect();

    assert_eq!(doubles, (1..=30).map(|n| 2 * n).collect::<Vec<_>>(), "each caller gets its own");
    held.await.expect("ran").expect("doubled");
    let commits = "select count(distinct transaction::text) from numbers";
    assert_eq!(numbers.database.number(commits).await, 2);
}

#[actix_web::test]
async fn of_a_crowd_half_goes_out_while_the_other_half_waits() {
    let numbers = Numbers::new().await;
    let (lock, held) = numbers.hold().await;

    let calls: Vec<_> = (1..=400).map(|n| numbers.call(n)).collect();
    numbers.release(lock).await;
    for call in join_all(calls).await {
        call.expect("ran").expect("doubled");
    }

    held.await.expect("ran").expect("doubled");
    let sizes = "select count(*) from numbers group by transaction order by transaction::text::bigint";
    let sizes: Vec<i64> = sqlx::query_scalar(sizes).fetch_all(&numbers.database.pool).await.expect("rows");
    // Never more than 128, and never a half below 32.
    assert_eq!(sizes, [1, 128, 128, 72, 36, 32, 4]);
}

#[actix_web::test]
async fn a_lone_caller_goes_out_at_once_and_is_answered_after_the_commit() {
    let numbers = Numbers::new().await;

    for n in 1..=20 {
        numbers.batcher.call(n).await.expect("doubled");

        assert_eq!(numbers.database.number("select count(*) from numbers").await, n);
    }
}

#[actix_web::test]
async fn a_bad_item_fails_alone() {
    let numbers = Numbers::new().await;
    let (lock, held) = numbers.hold().await;

    let calls: Vec<_> = [1, -1, 2].map(|n| numbers.call(n)).into();
    numbers.release(lock).await;
    let results: Vec<_> = join_all(calls).await.into_iter().map(|call| call.expect("ran")).collect();

    assert!(matches!(results[..], [Ok(2), Err(BatchError::Database(_)), Ok(4)]), "{results:?}");
    held.await.expect("ran").expect("doubled");
    assert_eq!(numbers.database.number("select count(*) from numbers").await, 3);
}

#[actix_web::test]
async fn a_caller_who_goes_away_while_waiting_costs_nobody_anything() {
    let numbers = Numbers::new().await;
    let (lock, held) = numbers.hold().await;

    let (gone, stays) = (numbers.call(7), numbers.call(8));
    rt::task::yield_now().await;
    gone.abort();
    numbers.release(lock).await;

    assert_eq!(stays.await.expect("ran").expect("doubled"), 16);
    held.await.expect("ran").expect("doubled");
    assert_eq!(numbers.database.number("select count(*) from numbers where n = 7").await, 0);
}

#[actix_web::test]
async fn two_replicas_that_count_the_same_users_never_deadlock() {
    let database = TestDatabase::new().await;
    // Slow enough for two statements to meet, each with some rows locked.
    database
        .execute(
            "create function dawdle() returns trigger language plpgsql
                 as 'begin perform pg_sleep(0.001); return new; end';
             create trigger dawdle before update on users for each row execute function dawdle()",
        )
        .await;
    let replicas = [VisitCounter::new(&database.pool), VisitCounter::new(&database.pool)];
    let users: Vec<Uuid> = (0..16).map(|_| Uuid::now_v7()).collect();

    for round in 0..10 {
        let visits = (0..64).map(|n| {
            // Each replica gets every user, in another order in each round.
            let user = users[(n / 2 * (2 * round + 3)) % users.len()];
            replicas[n % 2].record(user)
        });
        for counted in join_all(visits).await {
            counted.expect("counted");
        }
    }

    assert_eq!(database.number("select sum(visits)::bigint from users").await, 10 * 64);
    // Callers see nothing of a deadlock: the batcher tries them again. PostgreSQL counts it when the connection ends.
    drop(replicas);
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and ltrim(query, e'\\n ') like 'insert into users%'";
    while database.number(connections).await > 0 {
        rt::task::yield_now().await;
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

#[actix_web::test]
async fn the_connection_is_closed_when_the_last_handle_goes() {
    let Numbers { batcher, database } = Numbers::new().await;
    batcher.call(1).await.expect("doubled");
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and query like 'insert into numbers%'";
    assert_eq!(database.number(connections).await, 1);

    drop(batcher);

    while database.number(connections).await > 0 {
        rt::task::yield_now().await;
    }
}
