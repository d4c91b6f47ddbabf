//! `/health/ready`, and what the app requires of its connections.

use actix_web::rt;
use futures_util::future::join_all;
use reqwest::Method;
use sqlx::{Connection, PgConnection};

use crate::support::{Page, TestApp, TestDatabase, eventually, log};

async fn ready(app: &TestApp) -> u16 {
    Page::of(app.request(Method::GET, "/health/ready")).await.status.as_u16()
}

#[actix_web::test]
async fn an_app_whose_pool_is_busy_is_ready() {
    let app = TestApp::spawn_with(&[("DATABASE_MAX_CONNECTIONS", "1")]).await;
    let (_, cookie) = app.start().await;
    let mut lock = app.database.pool.begin().await.expect("a transaction");
    sqlx::query("select 1 from sessions for update").execute(&mut *lock).await.expect("a lock");

    // The deletion holds the pool's only connection, and waits for the row.
    let logout = app.request(Method::POST, "/logout").header("sec-fetch-site", "same-origin");
    let logout = rt::spawn(Page::of(logout.header("cookie", &cookie)));
    let waiting =
        "select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database or pg_locks.database is null
        where datname = current_database() and not granted";
    eventually("the deletion waits", async || app.database.number(waiting).await > 0).await;

    assert_eq!(ready(&app).await, 200);
    lock.rollback().await.expect("released");
    logout.await.expect("a response");
}

#[actix_web::test]
async fn concurrent_checks_share_a_result() {
    let app = TestApp::spawn().await;
    assert_eq!(ready(&app).await, 200);
    app.database.execute("alter table sessions rename to gone").await;

    // A result is cached for a moment.
    eventually("it is not ready", async || ready(&app).await == 503).await;
    app.database.execute("alter table gone rename to sessions").await;
    eventually("it is ready again", async || ready(&app).await == 200).await;

    assert!(join_all((0..50).map(|_| ready(&app))).await.iter().all(|status| *status == 200));
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and query like '%has_table_privilege%' and pid <> pg_backend_pid()";
    assert_eq!(app.database.number(connections).await, 1);
}

#[actix_web::test]
async fn the_app_uses_read_committed_even_if_the_role_has_a_stricter_default() {
    let database = TestDatabase::on_own_server().await;
    database.execute("alter role postgres set default_transaction_isolation = 'repeatable read'").await;
    let app = TestApp::on(database, &[]).await;

    let pool = app::database::pool(&app.config);
    let isolation: String =
        sqlx::query_scalar("show transaction_isolation").fetch_one(&pool).await.expect("a setting");

    assert_eq!((&*isolation, ready(&app).await), ("read committed", 200));
}

#[actix_web::test]
async fn connections_of_the_pool_are_refused_while_the_server_is_read_only_and_recover() {
    let database = TestDatabase::on_own_server().await;
    let app = TestApp::on(database, &[]).await;
    let (_, cookie) = app.start().await;
    let end_all = "select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and backend_type = 'client backend'";
    let log_out = async || {
        let logout = app.request(Method::POST, "/logout").header("sec-fetch-site", "same-origin");
        Page::of(logout.header("cookie", &cookie)).await.status.as_u16()
    };
    sqlx::raw_sql("alter role postgres set default_transaction_read_only = on")
        .execute(&app.database.pool)
        .await
        .expect("set");
    sqlx::raw_sql(end_all).execute(&app.database.pool).await.expect("ended");

    eventually("it is not ready", async || ready(&app).await == 503).await;
    assert_eq!(log_out().await, 503);
    assert!(!log::lines_with("the server is read-only").is_empty());
    let mut writer = PgConnection::connect(&app.database.url).await.expect("a connection");
    for sql in
        ["set default_transaction_read_only = off", "alter role postgres reset default_transaction_read_only"]
    {
        sqlx::raw_sql(sql).execute(&mut writer).await.expect("reset");
    }

    eventually("it is ready", async || ready(&app).await == 200).await;
    for _ in 0..20 {
        assert_eq!(log_out().await, 303);
    }
}
