//! Tests how many statements and rows a request costs the database. pg_stat_statements counts the statements.

use std::collections::BTreeMap;

use reqwest::Method;
use sqlx::{AssertSqlSafe, Row};

use crate::support::{Page, TestApp, TestDatabase, eventually};

const STATEMENTS: (&str, &str) = ("shared_preload_libraries", "pg_stat_statements");

struct Counted(TestApp);

impl Counted {
    async fn spawn() -> Self {
        let app = TestApp::on(TestDatabase::on_server_with(&[STATEMENTS]).await, &[]).await;
        app.database.execute("create extension pg_stat_statements").await;
        Self(app)
    }

    /// Returns how many statements used each table since the last [`Self::reset`].
    async fn statements(&self) -> BTreeMap<&'static str, i64> {
        let rows = sqlx::query(
            "select query, calls from pg_stat_statements
            join pg_database on pg_database.oid = dbid and datname = current_database()
            where query not like '%pg_stat%' and query not like '/* SQLx ping */%' and query not like 'show transaction_read_only%' and query <> ''",
        )
        .fetch_all(&self.0.database.pool)
        .await
        .expect("statistics");
        let mut calls = BTreeMap::new();
        for row in rows {
            let query: String = row.get("query");
            let table =
                ["sessions", "visitors"].into_iter().find(|table| query.contains(table)).unwrap_or("other");
            *calls.entry(table).or_default() += row.get::<i64, _>("calls");
        }
        calls
    }

    async fn reset(&self) {
        let reset =
            "select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = current_database()";
        sqlx::raw_sql(reset).execute(&self.0.database.pool).await.expect("reset");
    }

    /// Returns the number of rows in all tables of the app.
    async fn rows(&self) -> i64 {
        let tables: Vec<String> = sqlx::query_scalar(
            "select tablename::text from pg_tables where schemaname = 'public' and tablename not like '\\_sqlx%'",
        )
        .fetch_all(&self.0.database.pool)
        .await
        .expect("tables");
        let mut rows = 0;
        for table in tables {
            let count = AssertSqlSafe(format!("select count(*) from {table}"));
            rows +=
                sqlx::query_scalar::<_, i64>(count).fetch_one(&self.0.database.pool).await.expect("a count");
        }
        rows
    }

    /// Opens the first connections, whose setup statements must not be counted.
    async fn warm_up(&self) {
        let browser = self.0.browser();
        browser.get("/").await;
        browser.get("/").await;
        self.reset().await;
    }
}

#[actix_web::test]
async fn a_first_visit_runs_one_statement_and_adds_one_row() {
    let counted = Counted::spawn().await;
    counted.warm_up().await;
    let before = counted.rows().await;
    counted.reset().await;

    counted.0.browser().get("/").await;
    let statements = counted.statements().await;

    assert_eq!(statements, BTreeMap::from([("sessions", 1)]));
    assert_eq!(counted.rows().await - before, 1);
}

#[actix_web::test]
async fn a_returning_visit_runs_two_statements_and_only_the_second_visit_adds_a_row() {
    let counted = Counted::spawn().await;
    counted.warm_up().await;
    let browser = counted.0.browser();
    browser.get("/").await;
    let mut rows = counted.rows().await;

    for (visit, added) in [(2, 1), (3, 0), (4, 0)] {
        counted.reset().await;
        let page = browser.get("/").await;
        let statements = counted.statements().await;

        assert_eq!(page.visits(), visit, "{page:#?}");
        assert_eq!(statements, BTreeMap::from([("sessions", 1), ("visitors", 1)]), "visit {visit}");
        rows += added;
        assert_eq!(counted.rows().await, rows, "visit {visit}");
    }
}

#[actix_web::test]
async fn a_returning_visit_that_resets_the_idle_timer_runs_exactly_one_more_statement() {
    let counted = Counted::spawn().await;
    counted.warm_up().await;
    let browser = counted.0.browser();
    browser.get("/").await;
    counted.0.database.execute("update sessions set expires_at = now() + interval '10 minutes'").await;
    counted.reset().await;

    browser.get("/").await;
    eventually("the idle timer is reset", async || counted.statements().await.get("sessions") >= Some(&2))
        .await;
    let due = counted.statements().await;
    browser.get("/").await;
    let both = counted.statements().await;

    assert_eq!(due, BTreeMap::from([("sessions", 2), ("visitors", 1)]));
    assert_eq!(
        both,
        BTreeMap::from([("sessions", 3), ("visitors", 2)]),
        "the next visit doesn't reset the idle timer"
    );
}

#[actix_web::test]
async fn static_files_errors_and_the_liveness_check_never_read_a_session() {
    let counted = Counted::spawn().await;
    let (_, cookie) = counted.0.start().await;
    counted.reset().await;

    for (method, path, status) in [
        (Method::GET, "/static/app.css", 200),
        (Method::GET, "/static/nothing", 404),
        (Method::GET, "/health/live", 200),
        (Method::GET, "/nothing", 404),
        (Method::POST, "/nothing", 404),
    ] {
        let request = counted.0.request(method.clone(), path).header("sec-fetch-site", "same-origin");
        let page = Page::of(request.header("cookie", &cookie)).await;

        assert_eq!(page.status.as_u16(), status, "{method} {path} {page:#?}");
    }

    let statements = counted.statements().await;
    assert!(!statements.contains_key("sessions") && !statements.contains_key("visitors"), "{statements:?}");
}

#[actix_web::test]
async fn the_readiness_check_runs_one_statement_and_adds_no_row() {
    let counted = Counted::spawn().await;
    counted.warm_up().await;
    let rows = counted.rows().await;
    counted.reset().await;

    let page = Page::of(counted.0.request(Method::GET, "/health/ready")).await;
    let statements = counted.statements().await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert_eq!(statements.values().sum::<i64>(), 1, "{statements:?}");
    assert_eq!(counted.rows().await, rows);
}
