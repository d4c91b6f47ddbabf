use std::{any::Any, str::FromStr, thread};

use app::database::MIGRATIONS;
use dev::{TestServer, test_server};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

/// A database for one test. It is dropped together with this struct, even if the test panics.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    /// The URL with the password, for a different process.
    pub url: String,
    /// Dropping this drops the database or its server.
    _owner: Box<dyn Any>,
}

impl TestDatabase {
    pub async fn new() -> Self {
        Self::without_schema().await.migrated().await
    }

    pub async fn without_schema() -> Self {
        let server = test_server();
        let name = format!("test_{}", dev::random());
        admin(server, format!("create database {name}")).await;
        Self::at(server.url(&name), Dropped { name, server })
    }

    /// Returns the database at `url`, without the app's tables. Keeps `owner` until the end of the test.
    pub fn at(url: String, owner: impl Any) -> Self {
        let options = PgConnectOptions::from_str(&url).expect("a URL");
        let pool = PgPoolOptions::new().max_connections(30).connect_lazy_with(options.clone());
        Self { pool, options, url, _owner: Box::new(owner) }
    }

    pub async fn migrated(self) -> Self {
        MIGRATIONS.run(&self.pool).await.expect("migrate");
        self
    }

    /// Returns a number from the database, such as a count of rows.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    pub async fn execute(&self, sql: &str) {
        self.pool.execute(AssertSqlSafe(sql)).await.expect(sql);
    }
}

/// Drops the database.
struct Dropped {
    name: String,
    server: &'static TestServer,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let (server, name) = (self.server, self.name.clone());
        // Uses a separate runtime, because the test's runtime may be stopping.
        let dropped = thread::spawn(move || {
            let drop = admin(server, format!("drop database if exists {name} with (force)"));
            actix_web::rt::System::new().block_on(drop);
        });
        // Dropping a database takes 0.1 s. A temporary server stops with this process, so there is no need to wait.
        let is_dropped = server.temporary.is_some() || dropped.join().is_ok();
        assert!(is_dropped || thread::panicking(), "the test's database can't be dropped");
    }
}

async fn admin(server: &TestServer, sql: String) {
    let mut connection = PgConnection::connect(&server.admin_url).await.expect("connect");
    connection.execute(AssertSqlSafe(sql)).await.expect("create or drop a database");
    connection.close().await.expect("close");
}
