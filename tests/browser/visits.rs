//! Tests the visits page.

use std::time::{Duration, Instant};

use crate::{Browser, TestApp, open, state::State};

/// The states of this page, for tests that visit all pages.
pub const STATES: [State; 2] = [
    State::Other { steps: &["/", "/", "/visits"], has_session: true },
    State::Other { steps: &["/visits"], has_session: false },
];

#[actix_web::test]
async fn the_visits_page_shows_the_cookie_and_the_rows() {
    let (app, browser) = open().await;
    browser.go("/").await;
    browser.go("/").await;
    let user = browser.visitor().await;
    let cookie = browser.driver.get_named_cookie("id").await.unwrap();

    browser.follow("nav a[href='/visits']").await;

    let page = browser.text("main").await;
    let row: String = sqlx::query_scalar("select left(encode(id, 'hex'), 12) from sessions")
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert_eq!((browser.visits().await, browser.visitor().await), (2, user.clone()));
    assert!(page.contains(&row), "{row} {page}");
    assert!(page.contains(&format!(r#"{{"visitor_id":"{user}"}}"#)), "{page}");
    assert!(page.contains(&cookie.value[..12]), "{cookie:?} {page}");
    assert!(page.contains(&format!("{} bytes", cookie.value.len())), "{cookie:?} {page}");
    assert_eq!(app.database.number("select visits from visitors").await, 2);
}

#[actix_web::test]
async fn the_time_left_counts_down() {
    let app = TestApp::spawn_with(&[("SESSION_IDLE_TIMEOUT", "1m")]).await;
    let browser = Browser::open(&app.url).await;
    browser.go("/").await;
    browser.go("/visits").await;

    let begin = Instant::now();
    let words = "return document.getElementById('in').textContent";
    let first: String = browser.run(words).await;
    while browser.run::<String>(words).await == first {
        assert!(begin.elapsed() < Duration::from_secs(10), "still {first}");
    }

    // Reads both in one script, between two ticks of the page's clock.
    let both =
        "return ['left', 'in'].map(id => document.getElementById(id)).map(e => e.value ?? e.textContent)";
    let (left, words): (u32, String) = browser.run(both).await;
    assert_eq!(words, format!("{left}s"));
    assert!((45..60).contains(&left), "{left}");
}

#[actix_web::test]
async fn the_visits_page_works_without_javascript() {
    let app = TestApp::spawn().await;
    let browser = Browser::without_javascript(&app.url).await;
    browser.go("/").await;

    browser.follow("nav a[href='/visits']").await;

    let ends = browser.text(".life p").await;
    assert!(ends.contains("in 29m") || ends.contains("in 30m"), "{ends}");
}

#[actix_web::test]
async fn the_back_button_shows_nothing_from_an_ended_session() {
    let (_app, browser) = open().await;
    browser.go("/").await;
    browser.follow("nav a[href='/visits']").await;
    let user = browser.visitor().await;
    browser.follow("nav a[href='/logout?confirm']").await;
    browser.follow("main button").await;

    browser.back().await;
    browser.back().await;

    assert_eq!(browser.path().await, "/visits");
    let page = browser.source().await;
    assert!(!page.contains(&user), "{page}");
}

#[actix_web::test]
async fn a_button_copies_the_sql_statement() {
    let (app, browser) = open().await;
    let origin = serde_json::json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": app.url });
    browser.devtools("Browser.grantPermissions", origin).await;
    browser.go("/").await;
    browser.go("/visits").await;

    browser.click(".journey > li:nth-child(4) summary").await;
    browser.click(".journey > li:nth-child(4) .copy").await;

    let begin = Instant::now();
    while browser.text(".journey > li:nth-child(4) .copy").await != "Copied" {
        assert!(begin.elapsed() < Duration::from_secs(10), "nothing was copied");
    }
    let copied: String = browser.run("return await navigator.clipboard.readText()").await;
    assert!(copied.starts_with("select") && copied.contains("expires_at > now()"), "{copied}");
}
