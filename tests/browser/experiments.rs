//! The experiments.

use crate::{Browser, TestApp, state::State};

/// The states of this page, for the tests of all pages.
pub const STATES: [State; 2] = [
    State::Other { steps: &["/", "/", "/experiments"], has_session: true },
    State::Other { steps: &["/experiments"], has_session: false },
];

/// Opens the experiments, without JavaScript.
async fn open() -> (TestApp, Browser) {
    let app = TestApp::spawn_with(&[("EXPERIMENTS", "true")]).await;
    let browser = Browser::without_javascript(&app.url).await;
    browser.go("/").await;
    browser.follow("nav a[href='/visits']").await;
    browser.follow("main a[href='/experiments']").await;
    (app, browser)
}

#[actix_web::test]
async fn twenty_visits_at_once_can_be_counted_with_a_button() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/count'] button").await;

    let result = browser.text("#result").await;
    assert!(result.contains("counted 20."), "{result}");
}

#[actix_web::test]
async fn an_old_cookie_can_be_replayed_with_a_button() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/rotate'] button").await;
    browser.follow("form[action='/experiments/replay'] button").await;

    assert_eq!(browser.text("#result").await, "The old cookie found no session.");
}

#[actix_web::test]
async fn a_session_can_be_expired_with_a_button() {
    let (_app, browser) = open().await;

    browser.follow("form[action='/experiments/expire'] button").await;
    let result = browser.text("#result").await;
    browser.follow("main a.button").await;

    assert_eq!(result, "Your session has expired.");
    assert_eq!(browser.visits().await, 1);
}
