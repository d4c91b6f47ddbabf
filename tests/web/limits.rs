//! How many sessions one client may start, and what becomes of those it leaves lying.

use actix_postgres_sessions::sweep;
use reqwest::Method;

use crate::support::{Page, TestApp, log};

const ROWS: &str = "select (select count(*) from sessions) + (select count(*) from users)";

async fn first_visit(app: &TestApp) -> Page {
    Page::of(app.request(Method::GET, "/")).await
}

async fn first_visit_from(app: &TestApp, address: &str) -> Page {
    Page::of(app.request(Method::GET, "/").header("x-forwarded-for", address)).await
}

#[actix_web::test]
async fn one_session_too_many_is_a_429_page_that_says_when_to_come_back() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "3")]).await;
    for _ in 0..3 {
        assert_eq!(first_visit(&app).await.status, 200);
    }

    let page = first_visit(&app).await;

    assert_eq!(page.status, 429, "{page:#?}");
    let seconds: u64 = page.header("retry-after").parse().expect("seconds");
    assert!((1..=21).contains(&seconds), "{seconds}");
    assert!(page.body.contains("<html") && page.set_cookies().is_empty(), "{page:#?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:#?}");
    assert_eq!(app.database.number(ROWS).await, 6, "the refused visit left nothing");
    let refused = log::lines_of(page.request_id());
    assert!(
        refused.iter().any(|line| line["client"] == "127.0.0.1" && line["level"] == "WARN"),
        "{refused:#?}"
    );
}

#[actix_web::test]
async fn whoever_has_a_session_is_never_refused() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;
    let browser = app.browser();

    for visit in 1..=20 {
        assert_eq!(browser.get("/").await.visits(), visit);
    }
    assert_eq!(first_visit(&app).await.status, 429);
}

#[actix_web::test]
async fn what_starts_no_session_does_not_count() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;

    for _ in 0..5 {
        for (method, path) in
            [(Method::HEAD, "/"), (Method::GET, "/visits"), (Method::GET, "/logout"), (Method::GET, "/x")]
        {
            Page::of(app.request(method, path)).await;
        }
        Page::of(app.request(Method::GET, "/").header("sec-purpose", "prefetch")).await;
    }

    assert_eq!(first_visit(&app).await.status, 200);
    assert_eq!(first_visit(&app).await.status, 429);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_every_client_counts_for_itself() {
    let app =
        TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;

    assert_eq!(first_visit_from(&app, "203.0.113.1").await.status, 200);
    assert_eq!(first_visit_from(&app, "203.0.113.2").await.status, 200);
    assert_eq!(first_visit_from(&app, "2001:db8::1").await.status, 200);
    assert_eq!(
        first_visit_from(&app, "198.51.100.9, 203.0.113.1").await.status,
        429,
        "its own invention in front"
    );
    assert_eq!(first_visit_from(&app, "2001:db8::2").await.status, 429, "the same /64");
}

#[actix_web::test]
async fn a_client_that_names_another_address_is_counted_by_its_own() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;

    assert_eq!(first_visit_from(&app, "203.0.113.1").await.status, 200);
    assert_eq!(first_visit_from(&app, "203.0.113.2").await.status, 429);
}

#[actix_web::test]
async fn zero_sets_no_limit() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "0")]).await;

    for _ in 0..50 {
        assert_eq!(first_visit(&app).await.status, 200);
    }
}

#[actix_web::test]
async fn an_abandoned_first_visit_costs_two_rows_which_the_sweep_removes() {
    let app = TestApp::spawn().await;
    first_visit(&app).await;
    let rows = app.database.number(ROWS).await;
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    sweep(&app.database.pool, app.config.session_max_age).await.expect("a sweep");

    assert_eq!(rows, 2);
    assert_eq!(app.database.number(ROWS).await, 0);
}
