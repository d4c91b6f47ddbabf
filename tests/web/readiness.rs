//! `/health/ready`.

use actix_web::rt;
use futures_util::future::join_all;

use crate::support::{Page, TestApp, eventually};

async fn ready(app: &TestApp) -> u16 {
    app.get("/health/ready").await.status.as_u16()
}

#[actix_web::test]
async fn the_app_is_ready_while_its_pool_is_busy() {
    let app = TestApp::spawn_with(&[("DATABASE_MAX_CONNECTIONS", "1")]).await;
    let (_, cookie) = app.start().await;
    let mut lock = app.database.pool.begin().await.expect("a transaction");
    sqlx::query("select 1 from sessions for update").execute(&mut *lock).await.expect("a lock");

    // The deletion holds the pool's only connection while it waits for the row's lock.
    let logout = rt::spawn(Page::of(app.post("/logout").header("cookie", &cookie)));
    let waiting =
        "select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database or pg_locks.database is null
        where datname = current_database() and not granted";
    eventually("the deletion waits", async || app.database.number(waiting).await > 0).await;

    assert_eq!(ready(&app).await, 200);
    lock.rollback().await.expect("released");
    logout.await.expect("a response");
}

#[actix_web::test]
async fn concurrent_readiness_checks_share_a_result() {
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
