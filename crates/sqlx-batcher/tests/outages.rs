//! A database that fails, and more calls than it can serve.

mod support;

use std::{str::FromStr, time::Duration};

use dev::Postgres;
use futures_util::FutureExt;
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use sqlx_batcher::{Batcher, Error, QUEUE_SIZE};
use support::{Double, Numbers, TABLE, results, start_calls};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

/// Starts a PostgreSQL server for one test, and a batcher that has already made a call.
async fn own_server() -> (Postgres, Batcher<Double>) {
    let postgres = Postgres::temporary().unwrap_or_else(|error| panic!("{error:#}"));
    let options = PgConnectOptions::from_str(&postgres.url("postgres")).expect("a URL");
    let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
    connection.execute(TABLE).await.expect("a table");
    let batcher = Batcher::new(&options, Double);
    batcher.call(1).await.expect("a double");
    (postgres, batcher)
}

#[tokio::test]
async fn an_outage_is_an_immediate_error_and_recovery_is_automatic() {
    let (mut postgres, batcher) = own_server().await;

    postgres.kill9().expect("killed");
    let start = Instant::now();
    for result in results(start_calls(&batcher, 0..300).await).await {
        assert!(matches!(result, Err(Error::Database(_))), "{result:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());

    postgres.restart().expect("started");
    assert_eq!(batcher.call(2).await.expect("a double"), 4);
}

#[tokio::test]
async fn the_next_call_succeeds_after_a_restart_during_idle_time() {
    let (mut postgres, batcher) = own_server().await;

    postgres.restart().expect("started");
    // The batcher checks a connection that has been idle for more than a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;

    assert_eq!(batcher.call(2).await.expect("a double"), 4);
}

#[tokio::test]
async fn a_statement_whose_connection_breaks_is_not_sent_again() {
    let numbers = Numbers::new().await;
    numbers
        .database
        .execute(
            "create sequence attempts;
             create function disconnect() returns trigger language plpgsql as $$
             begin
                 perform nextval('attempts');
                 perform pg_terminate_backend(pg_backend_pid());
                 return new;
             end $$;
             create trigger disconnect before insert on numbers
             for each row when (new.n = 13) execute function disconnect()",
        )
        .await;

    let result = numbers.batcher.call(13).await;

    assert!(matches!(result, Err(Error::Database(_))), "{result:?}");
    assert_eq!(numbers.batcher.call(2).await.expect("a new connection"), 4);
    assert_eq!(numbers.database.number("select last_value from attempts").await, 1);
}

/// A server that accepts connections and never answers.
async fn silent_server() -> (TcpListener, PgConnectOptions) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("nobody"))
}

#[tokio::test]
async fn a_database_that_never_answers_is_an_error_within_two_seconds() {
    let (_listener, options) = silent_server().await;
    let batcher = Batcher::new(&options, Double);

    let start = Instant::now();
    let result = batcher.call(1).await;

    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_full_queue_refuses_further_calls_at_once() {
    let (listener, options) = silent_server().await;
    let batcher = Batcher::new(&options, Double);
    let first = start_calls(&batcher, [0]).await;
    let accepted = timeout(Duration::from_secs(1), listener.accept()).await;
    let _connection = accepted.expect("the first call connects").expect("a connection");

    let waiting = start_calls(&batcher, 0..QUEUE_SIZE as i64).await;
    let refused = batcher.call(0).now_or_never();

    assert!(matches!(refused, Some(Err(Error::Overloaded))), "{refused:?}");
    for result in results(first.into_iter().chain(waiting).collect()).await {
        assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    }
}
