//! The application in a real browser: Chromium, driven by WebDriver. A file for each subject.
//!
//! Where there is no Chromium these tests fail and say how to get it; with `SKIP_BROWSER_TESTS=1` they do nothing, and
//! say so.

#[path = "../support/mod.rs"]
mod support;

mod accessibility;
mod browser;
mod console;
mod driver;
mod keyboard;
mod logout;
mod pictures;
mod preferences;
mod state;
mod story;
mod weight;

use browser::Browser;
use support::TestApp;

/// The application and a browser that has not been there yet; nothing where browser tests are skipped.
async fn open() -> Option<(TestApp, Browser)> {
    if is_skipped() {
        return None;
    }
    let app = TestApp::spawn().await;
    let browser = Browser::open(&app.url).await;
    Some((app, browser))
}

fn is_skipped() -> bool {
    let skipped = std::env::var("SKIP_BROWSER_TESTS").is_ok_and(|value| value == "1");
    if skipped {
        eprintln!("skipped: SKIP_BROWSER_TESTS=1");
    }
    skipped
}
