//! Tests the store behind actix-session's middleware: the cookies that a browser receives, and the contents
//! of a session.

#[path = "../support/mod.rs"]
mod support;

mod cookies;
mod logins;
mod site;
mod typed;

use actix_session::config::BrowserSession;
use actix_session_postgres::PgSessionStore;
use site::Site;
use support::{TestDatabase, log};

#[actix_web::test]
async fn a_state_that_is_too_large_returns_a_500_and_changes_nothing() {
    let site = Site::new().await;
    let cookie = site.start().await;

    let response = site.get("/large", Some(&cookie)).await;

    assert_eq!((response.status.as_u16(), response.body.as_str()), (500, ""));
    assert_eq!(site.get("/show", Some(&cookie)).await.body, "written");
}

#[actix_web::test]
async fn a_database_error_returns_a_500_and_logs_its_cause_once() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone()).table("lost_and_found").expect("a name");
    store.migrate().await.expect("migrated");
    let site = Site::on(database, store, true, BrowserSession::default().into()).await;
    let cookie = site.start().await;
    site.database.execute("drop table lost_and_found").await;

    for (path, what) in [("/show", "load a session"), ("/log-in", "load a session")] {
        let before = log::lines_with("lost_and_found").len();
        assert_eq!(site.get(path, Some(&cookie)).await.status, 500);
        let lines = log::lines_with("lost_and_found");
        assert_eq!(lines.len(), before + 1, "{lines:#?}");
        let line = lines.last().expect("a line");
        assert!(line.contains(what) && line.contains("does not exist"), "{line}");
        assert!(line.contains("\"target\":\"session_store\""), "{line}");
    }
    assert_eq!(site.get("/write", None).await.status, 500);
    assert_eq!(
        log::lines_with("save a session").iter().filter(|line| line.contains("lost_and_found")).count(),
        1
    );
    assert!(log::lines_with("written").is_empty(), "the state is in the log");
    assert!(log::lines_with(&cookie[3..]).is_empty(), "the cookie is in the log");
}
