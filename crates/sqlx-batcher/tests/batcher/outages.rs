//! Tests database failures, and more calls than the database can serve.

use std::str::FromStr;

use dev::Postgres;
use futures_util::FutureExt;
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use sqlx_batcher::{Batcher, CHECK_AFTER, Error, QUEUE_SIZE};
use tokio::net::{TcpListener, TcpStream};
use tokio::{io::copy_bidirectional, sync::watch, time::timeout};

use crate::support::{Double, Numbers, PATIENCE, TABLE, advance, eventually, results, start_calls};

/// Starts a PostgreSQL server for one test, and a batcher that has already made a call.
async fn own_server() -> (Postgres, Batcher<Double>) {
    let postgres = Postgres::temporary(&[]).unwrap_or_else(|error| panic!("{error:#}"));
    let options = PgConnectOptions::from_str(&postgres.url("postgres")).expect("a URL");
    let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
    connection.execute(TABLE).await.expect("a table");
    let batcher = Batcher::new(&options, Double);
    batcher.call(1).await.expect("a double");
    (postgres, batcher)
}

#[tokio::test]
async fn calls_fail_with_a_database_error_in_an_outage_and_recover_automatically() {
    let (mut postgres, batcher) = own_server().await;

    postgres.kill9().expect("killed");
    for result in results(start_calls(&batcher, 0..300).await).await {
        assert!(matches!(result, Err(Error::Database(_))), "{result:?}");
    }

    postgres.restart().expect("started");
    assert_eq!(batcher.call(2).await.expect("a double"), 4);
}

#[tokio::test]
async fn a_server_that_refuses_the_connection_counts_as_unavailable() {
    let numbers = Numbers::new().await;
    let options = numbers.database.options.clone().database("missing");

    let error = Batcher::new(&options, Double).call(1).await.expect_err("no such database");

    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test]
async fn the_next_call_succeeds_if_the_server_restarts_while_the_batcher_is_idle() {
    let (mut postgres, batcher) = own_server().await;

    postgres.restart().expect("started");
    advance(2 * CHECK_AFTER).await;

    assert_eq!(batcher.call(2).await.expect("a double"), 4);
}

#[tokio::test]
async fn a_statement_is_not_resent_if_its_connection_breaks() {
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

/// Returns a server that accepts connections but never answers, and options to connect to it.
async fn silent_server() -> (TcpListener, PgConnectOptions) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("nobody"))
}

// The paused clock advances whenever every task is waiting for it.
#[tokio::test(start_paused = true)]
async fn a_call_fails_at_its_deadline_if_the_database_never_answers() {
    let (_listener, options) = silent_server().await;
    let batcher = Batcher::new(&options, Double);

    let result = timeout(PATIENCE, batcher.call(1)).await.expect("an end");

    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
}

#[tokio::test]
async fn a_full_queue_rejects_further_calls_immediately() {
    let (listener, options) = silent_server().await;
    let batcher = Batcher::new(&options, Double);
    let first = start_calls(&batcher, [0]).await;
    let accepted = timeout(PATIENCE, listener.accept()).await;
    let _connection = accepted.expect("the first call connects").expect("a connection");

    let waiting = start_calls(&batcher, 0..QUEUE_SIZE as i64).await;
    let refused = batcher.call(0).now_or_never();

    assert!(matches!(refused, Some(Err(Error::Overloaded))), "{refused:?}");
    tokio::time::pause();
    for result in results(first.into_iter().chain(waiting).collect()).await {
        assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    }
}

/// Starts a gateway, which forwards connections to `port` while the gate is open. While it is closed, the
/// gateway accepts connections but never answers. Returns the gateway's port.
async fn start_gateway(port: u16, gate: watch::Receiver<bool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own_port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut swallowed = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            if !*gate.borrow() {
                swallowed.push(client);
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("a server");
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    own_port
}

#[tokio::test]
async fn calls_fail_immediately_until_a_silent_database_responds_again() {
    let numbers = Numbers::new().await;
    let (open, gate) = watch::channel(false);
    let port = start_gateway(numbers.database.options.get_port(), gate).await;
    let batcher = Batcher::new(&numbers.database.options.clone().port(port), Double);

    tokio::time::pause();
    let result = timeout(PATIENCE, batcher.call(1)).await.expect("an end");
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    eventually("calls fail immediately", async || {
        matches!(batcher.call(2).now_or_never(), Some(Err(Error::TimedOut)))
    })
    .await;
    tokio::time::resume();

    open.send(true).expect("the gateway runs");
    // Times out the connection attempt that the gateway swallowed.
    advance(PATIENCE).await;
    eventually("calls succeed again", async || batcher.call(3).await.is_ok()).await;
}
