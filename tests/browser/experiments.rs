//! Tests the experiments page.

use crate::{Browser, TestApp, state::State};

/// The states of this page, for tests that visit all pages.
pub const STATES: [State; 2] = [
    State::Other { steps: &["/", "/", "/experiments"], has_session: true },
    State::Other { steps: &["/experiments"], has_session: false },
];

/// Opens the experiments page without JavaScript.
async fn open() -> (TestApp, Browser) {
    let app = TestApp::spawn_with(&[("EXPERIMENTS", "true")]).await;
    let browser = Browser::without_javascript(&app.url).await;
    browser.go("/").await;
    browser.follow("nav a[href='/visits']").await;
    browser.follow("main a[href='/experiments']").await;
    (app, browser)
}

#[actix_web::test]
async fn a_button_sends_twenty_concurrent_visits_and_all_are_counted() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/count'] button").await;

    let result = browser.text("#result").await;
    assert!(result.contains("counted 20."), "{result}");
}

#[actix_web::test]
async fn a_button_replays_the_old_cookie_which_finds_no_session() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/rotate'] button").await;
    browser.follow("form[action='/experiments/replay'] button").await;

    assert_eq!(browser.text("#result").await, "The old cookie doesn't have a session anymore.");
}

#[actix_web::test]
async fn a_button_expires_the_session() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/expire'] button").await;
    let result = browser.text("#result").await;
    browser.follow("main a.button").await;

    assert_eq!(result, "Your session has expired.");
    assert_eq!(browser.visits().await, 1);
}
