//! Every kind of session, side by side: the acceptance suite on four stores, the example `stores`, and `docs/stores.md`.

#[path = "../support/mod.rs"]
mod support;

#[path = "../../examples/stores/kind.rs"]
mod kind;
#[path = "../../examples/stores/pages.rs"]
mod pages;

mod document;
mod example;
mod measure;
mod partitions;
mod subjects;

use std::io::Write;

use dev::Redis;

/// Returns whether Redis is installed. If it isn't, says so, and in CI fails.
fn has_redis(what: &str) -> bool {
    let is_installed = Redis::is_installed();
    if !is_installed {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must install redis-server");
        // Not with `eprintln!`, whose output `cargo test` hides.
        writeln!(std::io::stderr(), "redis-server isn't installed: {what} is not tested").expect("written");
    }
    is_installed
}
