//! Tests the batcher on a real PostgreSQL server. This file tests that concurrent calls share statements, and that a
//! batcher without calls does nothing.

mod conflicts;
mod connections;
mod outages;
mod refusals;
mod support;

use std::str::FromStr;

use futures_util::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx_batcher::{Batcher, MAX_BATCH};
use tokio::{net::TcpListener, runtime::Handle, time::timeout};

use support::{Delayed, Double, Numbers, PATIENCE, eventually, results, start_calls};

#[tokio::test]
async fn calls_made_during_a_statement_share_the_next_statement_and_its_commit() {
    let numbers = Numbers::new().await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, 1..=30).await;
    held.release().await;

    let doubles: Vec<i64> =
        results(calls).await.into_iter().map(|result| result.expect("a double")).collect();
    assert_eq!(doubles, (1..=30).map(|n| 2 * n).collect::<Vec<_>>(), "each call gets its own output");
    assert_eq!(numbers.batch_sizes().await.len(), 2, "two statements: the blocked one and the next one");
}

#[tokio::test]
async fn each_statement_takes_at_most_max_batch_items_from_a_long_queue() {
    let numbers = Numbers::new().await;
    let held = numbers.hold().await;

    let calls = start_calls(&numbers.batcher, 1..=400).await;
    held.release().await;

    for (n, result) in (1..).zip(results(calls).await) {
        assert_eq!(result.expect("a double"), 2 * n);
    }
    let sizes = numbers.batch_sizes().await;
    assert!(sizes.iter().all(|&size| size <= MAX_BATCH as i64), "{sizes:?}");
    assert!(sizes.len() < 40, "more than ten calls share a statement on average: {sizes:?}");
}

#[tokio::test]
async fn a_lone_call_returns_after_its_commit() {
    let numbers = Numbers::new().await;

    for n in 1..=20 {
        numbers.batcher.call(n).await.expect("a double");

        let committed = numbers.database.number("select count(*) from numbers").await;
        assert_eq!(committed, n, "another connection sees the row");
    }
}

#[tokio::test]
async fn calls_within_the_delay_share_a_statement() {
    let numbers = Numbers::new().await;
    let batcher = Batcher::new(&numbers.database.options, Delayed::<200>);
    batcher.call(0).await.expect("a connection");

    tokio::time::pause();
    let first = start_calls(&batcher, [1]).await;
    let second = start_calls(&batcher, [2]).await;
    tokio::time::resume();

    assert!(results(first).await.into_iter().chain(results(second).await).all(|result| result.is_ok()));
    let mut sizes = numbers.batch_sizes().await;
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2]);
}

#[tokio::test]
async fn a_full_batch_is_sent_without_waiting_for_the_delay() {
    let numbers = Numbers::new().await;
    // The delay is longer than a call's deadline.
    let batcher = Batcher::new(&numbers.database.options, Delayed::<60_000>);

    let mut calls = start_calls(&batcher, 0..=MAX_BATCH as i64).await;

    let first = results(vec![calls.remove(0)]).await;
    assert!(matches!(first[..], [Ok(0)]), "the call waited for the delay: {first:?}");
}

#[tokio::test]
async fn a_dropped_call_is_not_sent_but_the_others_are() {
    let numbers = Numbers::new().await;
    let held = numbers.hold().await;

    let dropped = start_calls(&numbers.batcher, [7]).await;
    let others = start_calls(&numbers.batcher, [8]).await;
    for call in dropped {
        call.abort();
        assert!(call.await.is_err_and(|error| error.is_cancelled()));
    }
    held.release().await;

    let others = results(others).await;
    assert!(matches!(others[..], [Ok(16)]), "{others:?}");
    assert_eq!(numbers.database.number("select count(*) from numbers where n = 7").await, 0);
}

#[tokio::test]
async fn the_connection_is_closed_when_the_last_clone_is_dropped() {
    let Numbers { batcher, database } = Numbers::new().await;
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and query like 'insert into numbers%'";

    let clone = batcher.clone();
    batcher.call(1).await.expect("a double");
    drop(batcher);
    clone.call(2).await.expect("a double");
    assert_eq!(database.number(connections).await, 1, "both used the same connection");

    drop(clone);
    eventually("the connection is closed", async || database.number(connections).await == 0).await;
}

#[test]
fn a_batcher_can_be_created_cloned_and_dropped_outside_a_runtime() {
    let options = PgConnectOptions::from_str("postgres://localhost/").expect("a URL");

    let batcher = Batcher::new(&options, Double);

    drop(batcher.clone());
    drop(batcher);
}

#[tokio::test]
async fn a_batcher_starts_no_task_and_opens_no_connection_before_its_first_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("nobody");

    let batcher = Batcher::new(&options, Double);
    let clone = batcher.clone();

    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert!(listener.accept().now_or_never().is_none(), "a connection");

    let _calls = start_calls(&clone, [1]).await;
    let accepted = timeout(PATIENCE, listener.accept()).await;
    accepted.expect("the call connects").expect("a connection");
}
