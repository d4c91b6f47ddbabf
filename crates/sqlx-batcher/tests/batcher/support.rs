//! A database for each test, and a batcher that inserts numbers into it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{str::FromStr, thread};

use dev::{TestServer, test_server};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Postgres, Transaction};
use sqlx_batcher::{Batcher, Error, Statement};
use tokio::{task::JoinHandle, time::timeout};

/// The longest time that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A database on the shared test server. Dropping this struct drops the database, even if the test panics.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    name: String,
    server: &'static TestServer,
}

impl TestDatabase {
    pub async fn new() -> Self {
        let server = test_server();
        let name = format!("test_{}", dev::random());
        admin(server, format!("create database {name}")).await;
        let options = PgConnectOptions::from_str(&server.url(&name)).expect("a URL");
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options.clone());
        Self { pool, options, name, server }
    }

    /// Returns a number from the database, such as a count of rows.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    /// Makes new connections read-only, as on a standby, or makes them writable again.
    pub async fn set_read_only(&self, value: &str) {
        let sql = format!("alter database {} set default_transaction_read_only = {value}", self.name);
        admin(self.server, sql).await;
    }

    pub async fn execute(&self, sql: &'static str) {
        self.pool.execute(sql).await.expect(sql);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let server = self.server;
        // Uses a thread with a separate runtime, because the test's runtime may be stopping.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(admin(server, drop));
        });
        // Dropping a database takes 0.1 s. There is no need to wait if the server is temporary, because it
        // stops with this process.
        let is_dropped = server.temporary.is_some() || dropped.join().is_ok();
        assert!(is_dropped || thread::panicking(), "can't drop the test's database");
    }
}

async fn admin(server: &TestServer, sql: String) {
    let mut connection = PgConnection::connect(&server.admin_url).await.expect("connect");
    connection.execute(AssertSqlSafe(sql)).await.expect("create or drop a database");
    connection.close().await.expect("close");
}

/// Inserts numbers and returns their doubles. The table rejects negative numbers.
pub struct Double;

impl Statement for Double {
    type Item = i64;
    type Output = i64;

    async fn run(&self, connection: &mut PgConnection, numbers: &[i64]) -> sqlx::Result<Vec<i64>> {
        sqlx::query("insert into numbers (n) select unnest($1::bigint[])")
            .bind(numbers)
            .execute(connection)
            .await?;
        Ok(numbers.iter().map(|n| 2 * n).collect())
    }
}

/// Like [`Double`], but with a delay in milliseconds.
pub struct Delayed<const DELAY: u64>;

impl<const DELAY: u64> Statement for Delayed<DELAY> {
    type Item = i64;
    type Output = i64;
    const DELAY: Duration = Duration::from_millis(DELAY);

    async fn run(&self, connection: &mut PgConnection, numbers: &[i64]) -> sqlx::Result<Vec<i64>> {
        Double.run(connection, numbers).await
    }
}

/// Adds one to counters. Waits 20 ms for a locked row, and records the items of each attempt.
#[derive(Clone, Default)]
pub struct Count(Arc<Mutex<Vec<Vec<i64>>>>);

impl Count {
    pub fn attempts(&self) -> Vec<Vec<i64>> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Statement for Count {
    type Item = i64;
    type Output = ();

    async fn run(&self, connection: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<()>> {
        self.0.lock().expect("no panic").push(ids.to_vec());
        sqlx::query(
            "insert into counters (id, value)
             select id, count(*) from unnest($1::bigint[]) as asked (id)
             where (select set_config('lock_timeout', '20ms', true)) is not null
             group by id
             order by id
             on conflict (id) do update set value = counters.value + excluded.value",
        )
        .bind(ids)
        .execute(connection)
        .await?;
        Ok(vec![(); ids.len()])
    }
}

/// The table that [`Count`] uses.
pub const COUNTERS: &str = "create table counters (id bigint primary key, value bigint not null)";

/// The table that [`Double`] uses. Each row also records the transaction that inserted it.
pub const TABLE: &str =
    "create table numbers (n bigint check (n >= 0), transaction xid8 default pg_current_xact_id())";

/// A batcher with its own database.
pub struct Numbers {
    pub batcher: Batcher<Double>,
    pub database: TestDatabase,
}

impl Numbers {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        database.execute(TABLE).await;
        Self { batcher: Batcher::new(&database.options, Double), database }
    }

    /// Calls the batcher with zero, and blocks its statement until the lock is released.
    pub async fn hold(&self) -> Held {
        let mut lock = self.database.pool.begin().await.expect("a transaction");
        sqlx::query("lock table numbers in exclusive mode").execute(&mut *lock).await.expect("a lock");
        let calls = start_calls(&self.batcher, [0]).await;
        let waiting = "select count(*) from pg_locks where relation = 'numbers'::regclass and not granted";
        eventually("the statement waits", async || self.database.number(waiting).await > 0).await;
        Held { lock, calls }
    }

    /// Returns the number of items in each statement so far.
    pub async fn batch_sizes(&self) -> Vec<i64> {
        let sizes = "select count(*) from numbers group by transaction";
        sqlx::query_scalar(sizes).fetch_all(&self.database.pool).await.expect("rows")
    }
}

/// A blocked statement of a batcher.
pub struct Held {
    lock: Transaction<'static, Postgres>,
    calls: Vec<JoinHandle<Result<i64, Error>>>,
}

impl Held {
    /// Lets the statement continue, and waits for its result.
    pub async fn release(self) {
        self.lock.rollback().await.expect("released");
        let results = results(self.calls).await;
        assert!(matches!(results[..], [Ok(0)]), "{results:?}");
    }
}

/// Starts a call for each item, and returns once all of them are in the queue.
///
/// This relies on the single thread of `#[tokio::test]`, where a task runs until it waits.
pub async fn start_calls<S: Statement>(
    batcher: &Batcher<S>,
    items: impl IntoIterator<Item = S::Item>,
) -> Vec<JoinHandle<Result<S::Output, Error>>> {
    let started = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = items
        .into_iter()
        .map(|item| {
            let (batcher, started) = (batcher.clone(), started.clone());
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::Relaxed);
                batcher.call(item).await
            })
        })
        .collect();
    eventually("all calls start", async || started.load(Ordering::Relaxed) == calls.len()).await;
    calls
}

/// Waits for the calls, and returns their results in the same order.
pub async fn results<T>(calls: Vec<JoinHandle<Result<T, Error>>>) -> Vec<Result<T, Error>> {
    let results = timeout(PATIENCE, join_all(calls)).await.expect("every call finishes in time");
    results.into_iter().map(|result| result.expect("no call panics")).collect()
}

/// Waits until `condition` is true. Fails after [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Advances Tokio's clock without waiting.
pub async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
