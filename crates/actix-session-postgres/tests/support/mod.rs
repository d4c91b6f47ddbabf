//! A database for each test, and a helper that waits for a condition.

// No test program uses all of this.
#![allow(dead_code, unused_imports)]

mod database;
pub mod log;

use std::time::{Duration, Instant};

pub use database::TestDatabase;

/// The longest time that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` is true. Fails after [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
