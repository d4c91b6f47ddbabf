//! Tests of the app in a real browser, Chromium, controlled with WebDriver. There is one file per subject.
//!
//! `cargo dev browser` runs these tests. They are in a separate package, so that `cargo test` needs no browser.

#[path = "../support/mod.rs"]
mod support;

mod accessibility;
mod accounts; // accounts
mod experiments; // demo
mod pages;
mod pictures; // demo
mod preferences;
mod session;
mod state;
mod visits; // demo
mod welcome; // demo

use browser::Browser;
use support::TestApp;

/// Starts the app, and a browser that hasn't visited it yet.
async fn open() -> (TestApp, Browser) {
    let settings = [
        ("EXPERIMENTS", "true"), // demo
    ];
    let app = TestApp::spawn_with(&settings).await;
    let browser = Browser::open(&app.url).await;
    (app, browser)
}
