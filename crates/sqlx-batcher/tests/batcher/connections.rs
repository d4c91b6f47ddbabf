//! Tests which connections a batcher uses.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, Executor, PgConnection, postgres::PgPoolOptions};
use sqlx_batcher::{Batcher, CHECK_AFTER, Error, Statement, acquire, check};
use tokio::sync::Semaphore;

use crate::support::{PATIENCE, TestDatabase, advance, eventually};

const READ_ONLY: &str = "set default_transaction_read_only = on";

/// Runs its items as SQL, and returns the backend's process ID.
struct Run;

impl Statement for Run {
    type Item = &'static str;
    type Output = i32;

    async fn run(&self, connection: &mut PgConnection, items: &[&'static str]) -> sqlx::Result<Vec<i32>> {
        for sql in items {
            connection.execute(*sql).await?;
        }
        let backend = sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await?;
        Ok(vec![backend; items.len()])
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_minutes_and_used_until_its_replacement_is_open() {
    let database = TestDatabase::new().await;
    let batcher = Batcher::new(&database.options, Run);
    let first = batcher.call("select 1").await.expect("a backend");

    advance(4 * 60 * CHECK_AFTER).await;
    for _ in 0..100 {
        assert_eq!(batcher.call("select 1").await.expect("a backend"), first);
    }

    advance(10 * 60 * CHECK_AFTER).await;
    assert_eq!(
        batcher.call("select 1").await.expect("a backend"),
        first,
        "no call waits for the replacement"
    );
    let start = std::time::Instant::now();
    while batcher.call("select 1").await.expect("a backend") == first {
        assert!(start.elapsed().as_secs() < 20, "the connection is never replaced");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_to_a_read_only_server_fail_even_if_the_statement_only_reads() {
    let database = TestDatabase::new().await;
    database.set_read_only("on").await;
    let batcher = Batcher::new(&database.options, Run);

    let result = batcher.call("select 1").await;
    assert!(
        matches!(&result, Err(Error::Database(error)) if error.to_string().contains("read-only")),
        "{result:?}"
    );

    database.set_read_only("off").await;
    batcher.call("select 1").await.expect("a backend");
}

#[tokio::test]
async fn a_connection_is_dropped_if_the_server_rejects_a_write() {
    let database = TestDatabase::new().await;
    let batcher = Batcher::new(&database.options, Run);
    batcher.call(READ_ONLY).await.expect("set");

    let result = batcher.call("create table refused ()").await;
    assert!(matches!(result, Err(Error::Database(_))), "{result:?}");

    batcher.call("create table accepted ()").await.expect("another connection");
}

#[tokio::test]
async fn an_idle_connection_that_became_read_only_is_replaced_before_use() {
    let database = TestDatabase::new().await;
    let batcher = Batcher::new(&database.options, Run);
    batcher.call(READ_ONLY).await.expect("set");

    advance(2 * CHECK_AFTER).await;

    batcher.call("create table accepted ()").await.expect("another connection");
}

#[tokio::test]
async fn a_check_succeeds_while_the_server_responds_and_accepts_writes() {
    let database = TestDatabase::new().await;
    let mut connection = PgConnection::connect_with(&database.options).await.expect("a connection");

    check(&mut connection).await.expect("it accepts writes");
    connection.execute(READ_ONLY).await.expect("set");
    assert!(check(&mut connection).await.is_err(), "read-only");
    connection.execute("set default_transaction_read_only = off").await.expect("set");
    check(&mut connection).await.expect("it accepts writes");
    let _ = connection.execute("select pg_terminate_backend(pg_backend_pid())").await;
    assert!(check(&mut connection).await.is_err(), "terminated");
}

#[tokio::test]
async fn acquire_times_out_before_the_pool_does_if_all_connections_are_busy() {
    let database = TestDatabase::new().await;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(2 * PATIENCE);
    let pool = pool.connect_lazy_with(database.options.clone());
    let _busy = pool.acquire().await.expect("a connection");

    tokio::time::pause();
    let result = tokio::time::timeout(PATIENCE, acquire(&pool)).await.expect("an end");

    assert!(matches!(result, Err(sqlx::Error::PoolTimedOut)), "{result:?}");
}

#[tokio::test]
async fn acquire_continues_to_connect_after_the_caller_has_given_up() {
    let database = TestDatabase::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let connecting = Arc::clone(&gate);
    let options = PgPoolOptions::new().after_connect(move |_, _| {
        let gate = Arc::clone(&connecting);
        Box::pin(async move {
            gate.acquire().await.expect("an open semaphore").forget();
            Ok(())
        })
    });
    let pool = options.connect_lazy_with(database.options.clone());

    let given_up = tokio::time::timeout(Duration::from_millis(200), acquire(&pool)).await;
    assert!(given_up.is_err(), "the gate is closed");
    gate.add_permits(1);

    eventually("the connection is in the pool", async || pool.num_idle() == 1).await;
}
