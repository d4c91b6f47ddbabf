//! The batcher's contract, with a statement that has nothing to do with sessions.

#[path = "support/mod.rs"]
mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_postgres_sessions::{
    Error,
    batch::{BatchError, Batcher, Statement},
    users::VisitCounter,
};
use actix_web::{ResponseError, rt};
use dev::Postgres;
use futures_util::future::join_all;
use sqlx::{
    Acquire, Executor, PgConnection, PgPool, Postgres as Db, Transaction, postgres::PgConnectOptions,
};
use support::TestDatabase;
use tokio::{net::TcpListener, time::Instant};
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

    let calls: Vec<_> = (1..=50).map(|n| numbers.call(n)).collect();
    numbers.release(lock).await;
    let doubles: Vec<i64> =
        join_all(calls).await.into_iter().map(|call| call.expect("ran").expect("doubled")).collect();

    assert_eq!(doubles, (1..=50).map(|n| 2 * n).collect::<Vec<_>>(), "each caller gets its own");
    held.await.expect("ran").expect("doubled");
    let commits = "select count(distinct transaction::text) from numbers";
    assert_eq!(numbers.database.number(commits).await, 2);
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
async fn a_row_locked_for_long_delays_the_others_and_fails_alone() {
    let database = TestDatabase::new().await;
    let visits = VisitCounter::new(&database.pool);
    let (locked, free) = (Uuid::now_v7(), Uuid::now_v7());
    visits.record(locked).await.expect("counted");
    let mut lock = database.pool.begin().await.expect("a transaction");
    let select = sqlx::query("select from users where id = $1 for update").bind(locked);
    lock.execute(select).await.expect("a lock");

    // Twenty visits of the locked user and twenty of another, in turn and in one batch.
    let calls = (0..40).map(|n| visits.record(if n % 2 == 0 { locked } else { free }));
    let (stuck, counted): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);

    assert!(stuck.iter().all(|(_, result)| matches!(result, Err(BatchError::Database(_)))), "{stuck:?}");
    let counts: Vec<i64> = counted.into_iter().map(|(_, result)| result.expect("counted")).collect();
    assert_eq!(counts, (1..=20).collect::<Vec<_>>());
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

#[actix_web::test]
async fn an_outage_is_an_error_at_once_and_ends_by_itself() {
    let mut postgres = Postgres::temporary().expect("a PostgreSQL");
    let options: PgConnectOptions = postgres.url("postgres").parse().expect("a URL");
    let pool = PgPool::connect_lazy_with(options.clone());
    pool.execute(TABLE).await.expect("a table");
    let batcher = Batcher::spawn(&options, Double);
    batcher.call(1).await.expect("doubled");

    postgres.kill9().expect("killed");
    let start = Instant::now();
    for outcome in join_all((0..300).map(|n| batcher.call(n))).await {
        assert!(matches!(outcome, Err(BatchError::Database(_))), "{outcome:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

    postgres.restart().expect("started");
    assert_eq!(batcher.call(2).await.expect("doubled"), 4);
}

#[actix_web::test]
async fn a_restart_while_nobody_calls_is_not_noticed_by_who_calls_next() {
    let mut postgres = Postgres::temporary().expect("a PostgreSQL");
    let options: PgConnectOptions = postgres.url("postgres").parse().expect("a URL");
    let pool = PgPool::connect_lazy_with(options.clone());
    pool.execute(TABLE).await.expect("a table");
    let batcher = Batcher::spawn(&options, Double);
    batcher.call(1).await.expect("doubled");

    postgres.restart().expect("started");
    // The real clock: the connection is tried once it has been idle for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;

    assert_eq!(batcher.call(2).await.expect("doubled"), 4);
}

/// A server that takes connections and never says a word.
async fn silent() -> (TcpListener, PgConnectOptions) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("nobody"))
}

#[actix_web::test]
async fn a_database_that_never_answers_is_an_error_within_two_seconds() {
    let (_listener, options) = silent().await;
    let batcher = Batcher::spawn(&options, Double);

    let start = Instant::now();
    let outcome = batcher.call(1).await;

    assert!(matches!(outcome, Err(BatchError::TimedOut)), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
}

#[actix_web::test]
async fn the_queue_is_bounded_and_who_comes_then_is_refused_at_once() {
    let (_listener, options) = silent().await;
    let batcher = Batcher::spawn(&options, Double);

    let start = Instant::now();
    let mut outcomes = BTreeMap::new();
    for outcome in join_all((0..5000).map(|n| batcher.call(n))).await {
        *outcomes.entry(format!("{outcome:?}")).or_insert(0) += 1;
    }

    assert!(outcomes["Err(Overloaded)"] >= 5000 - 4096 - 128, "{outcomes:?}");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn whatever_keeps_a_caller_from_an_answer_is_a_503() {
    for error in [BatchError::Overloaded, BatchError::TimedOut, Arc::new(sqlx::Error::PoolClosed).into()] {
        let response = Error::from(error.clone()).error_response();

        assert_eq!(response.status(), 503, "{error:?}");
        assert!(response.headers().contains_key("retry-after"), "{error:?}");
    }
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
