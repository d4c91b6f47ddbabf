use std::{str::FromStr, thread};

use dev::{TestServer, test_database_server};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A database on the shared test server. Dropping this struct drops the database, even if the test panics.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    name: String,
    server: &'static TestServer,
}

impl TestDatabase {
    pub async fn new() -> Self {
        let server = test_database_server();
        let name = server.new_database_name();
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
        let is_dropped = server.is_temporary() || dropped.join().is_ok();
        assert!(is_dropped || thread::panicking(), "can't drop the test's database");
    }
}

async fn admin(server: &TestServer, sql: String) {
    let mut connection = PgConnection::connect(server.admin_url()).await.expect("connect");
    connection.execute(AssertSqlSafe(sql)).await.expect("create or drop a database");
    connection.close().await.expect("close");
}
