//! What a request costs the database: counted by pg_stat_statements, which a server has to load at its start.

use std::collections::BTreeMap;

use reqwest::Method;
use sqlx::Row;

use crate::support::{Page, TestApp, TestDatabase};

struct Counted(TestApp);

impl Counted {
    async fn spawn() -> Self {
        let app = TestApp::on(TestDatabase::on_own_server().await, &[]).await;
        app.database.execute("create extension pg_stat_statements").await;
        Self(app)
    }

    /// How often each table was named by the statements since the last call.
    async fn statements(&self) -> BTreeMap<&'static str, i64> {
        let rows = sqlx::query(
            "select query, calls from pg_stat_statements
            join pg_database on pg_database.oid = dbid and datname = current_database()
            where query not like '%pg_stat%' and query not like '/* SQLx ping */%' and query <> ''",
        )
        .fetch_all(&self.0.database.pool)
        .await
        .expect("statistics");
        let reset =
            "select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = current_database()";
        sqlx::raw_sql(reset).execute(&self.0.database.pool).await.expect("reset");

        let mut calls = BTreeMap::new();
        for row in rows {
            let query: String = row.get("query");
            let table =
                ["sessions", "users"].into_iter().find(|table| query.contains(table)).unwrap_or("other");
            *calls.entry(table).or_default() += row.get::<i64, _>("calls");
        }
        calls
    }
}

#[actix_web::test]
async fn a_first_visit_is_one_statement_and_a_returning_one_is_two() {
    let counted = Counted::spawn().await;
    let browser = counted.0.browser();
    // The first statement of all connects the pool.
    counted.0.browser().get("/").await;
    counted.statements().await;

    browser.get("/").await;
    let first = counted.statements().await;
    browser.get("/").await;
    let returning = counted.statements().await;

    // It names both tables.
    assert_eq!(first, BTreeMap::from([("sessions", 1)]));
    assert_eq!(returning, BTreeMap::from([("sessions", 1), ("users", 1)]));
}

#[actix_web::test]
async fn static_files_health_checks_and_errors_never_read_a_session() {
    let counted = Counted::spawn().await;
    let (_, cookie) = counted.0.new_session().await;
    counted.statements().await;

    for (method, path) in [
        (Method::GET, "/static/app.css"),
        (Method::GET, "/static/nothing"),
        (Method::GET, "/health/live"),
        (Method::GET, "/health/ready"),
        (Method::GET, "/nothing"),
        (Method::POST, "/nothing"),
    ] {
        Page::of(counted.0.request(method, path).header("cookie", &cookie)).await;
    }

    let statements = counted.statements().await;
    assert!(!statements.contains_key("sessions") && !statements.contains_key("users"), "{statements:?}");
}
