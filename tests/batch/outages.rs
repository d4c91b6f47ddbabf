//! A database that is away, and more callers than it can serve.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_postgres_sessions::{
    Error,
    batch::{BatchError, Batcher},
};
use actix_web::ResponseError;
use dev::Postgres;
use futures_util::future::join_all;
use sqlx::{Executor, PgPool, postgres::PgConnectOptions};
use tokio::{net::TcpListener, time::Instant};

use super::{Double, TABLE};

/// A PostgreSQL of the test's own, and a batcher that has worked there.
async fn own_server() -> (Postgres, Batcher<Double>) {
    let postgres = Postgres::temporary().expect("a PostgreSQL");
    let options: PgConnectOptions = postgres.url("postgres").parse().expect("a URL");
    let pool = PgPool::connect_lazy_with(options.clone());
    pool.execute(TABLE).await.expect("a table");
    let batcher = Batcher::spawn(&options, Double);
    batcher.call(1).await.expect("doubled");
    (postgres, batcher)
}

#[actix_web::test]
async fn an_outage_is_an_error_at_once_and_ends_by_itself() {
    let (mut postgres, batcher) = own_server().await;

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
    let (mut postgres, batcher) = own_server().await;

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
