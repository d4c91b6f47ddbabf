//! Shared by the tests: a migrated database for each test, the app on its own port, an HTTP client that acts like a
//! browser, and the log.

// No single test program uses everything.
#![allow(dead_code, unused_imports)]

mod app;
mod database;
pub mod log;
mod page;
pub mod probe;
pub mod process;

use std::time::{Duration, Instant};

pub use app::{SECRET, TestApp, decrypt, encrypt};
pub use database::TestDatabase;
pub use page::{Browser, Page};

/// Waits until `condition` is true. Fails after [`probe::PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < probe::PATIENCE, "{what}: not within {:?}", probe::PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
