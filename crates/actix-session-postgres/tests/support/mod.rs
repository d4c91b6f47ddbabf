//! A database for each test, and a helper that waits for a condition.

// No test program uses all of this.
#![allow(dead_code, unused_imports)]

pub mod log;

use std::time::{Duration, Instant};
use std::{str::FromStr, thread};

use actix_session_postgres::PgSessionStore;
use dev::{Postgres, TestServer, test_server};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

/// The longest time that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` is true. Fails after [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A database for one test. Dropping this struct drops the database, even if the test panics.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    place: Place,
}

enum Place {
    Shared { name: String, server: &'static TestServer },
    Own { _server: Postgres },
}

impl TestDatabase {
    /// Creates a database with the `sessions` table.
    pub async fn new() -> Self {
        Self::without_table().await.migrated().await
    }

    pub async fn without_table() -> Self {
        let server = test_server();
        let name = format!("test_{}", dev::random());
        admin(server, format!("create database {name}")).await;
        Self::at(&server.url(&name), Place::Shared { name, server })
    }

    /// Creates a database on its own server, where other tests' transactions can't keep PostgreSQL from reusing space.
    pub async fn on_own_server() -> Self {
        let server = Postgres::temporary(&[]).unwrap_or_else(|error| panic!("{error:#}"));
        Self::at(&server.url("postgres"), Place::Own { _server: server }).migrated().await
    }

    fn at(url: &str, place: Place) -> Self {
        let options = PgConnectOptions::from_str(url).expect("a URL");
        let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options.clone());
        Self { pool, options, place }
    }

    async fn migrated(self) -> Self {
        PgSessionStore::new(self.pool.clone()).migrate().await.expect("migrated");
        self.distribute().await;
        self
    }

    /// Distributes the table if the server in `DATABASE_URL` has Citus, so that every test also checks the
    /// statements there.
    async fn distribute(&self) {
        let libraries: String = sqlx::query_scalar("show shared_preload_libraries")
            .fetch_one(&self.pool)
            .await
            .expect("a setting");
        if !libraries.contains("citus") {
            return;
        }
        for sql in [
            "create extension citus",
            "select citus_set_coordinator_host('127.0.0.1', current_setting('port')::int)",
            "select citus_set_node_property('127.0.0.1', current_setting('port')::int, 'shouldhaveshards', true)",
            "select create_distributed_table('sessions', 'id', shard_count => 4)",
            // Citus doesn't forward the statements' own lock timeouts (docs/scaling.md).
            "do $$ begin execute format('alter database %I set lock_timeout = 100', current_database()); end $$",
        ] {
            self.execute(sql).await;
        }
    }

    pub async fn has_citus(&self) -> bool {
        let libraries = sqlx::query_scalar::<_, String>("show shared_preload_libraries");
        libraries.fetch_one(&self.pool).await.expect("a setting").contains("citus")
    }

    /// Returns a number from the database, such as a count of rows.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    pub async fn execute(&self, sql: &'static str) {
        self.pool.execute(sql).await.expect(sql);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Shared { name, server } = &self.place else { return };
        let (server, name) = (*server, name.clone());
        // Uses a separate runtime, because the test's runtime may be stopping.
        let dropped = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(admin(server, format!("drop database if exists {name} with (force)")));
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
