//! The app in a real browser: Chromium, driven by WebDriver. One file for each subject.
//!
//! `cargo dev browser` runs these tests. They are a package of their own, so that `cargo test` needs no browser.

#[path = "../support/mod.rs"]
mod support;

mod accessibility;
mod console;
mod keyboard;
mod logout;
mod pictures;
mod preferences;
mod state;
mod story;
mod visits;
mod weight;

use browser::Browser;
use support::TestApp;

/// The app, and a browser that has not been there yet.
async fn open() -> (TestApp, Browser) {
    let app = TestApp::spawn().await;
    let browser = Browser::open(&app.url).await;
    (app, browser)
}
