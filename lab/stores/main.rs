//! Compares session stores: runs the acceptance suite, tests the `stores` example, and checks `docs/stores.md`.

#[path = "../own_server.rs"]
mod own_server;
#[path = "../../tests/support/mod.rs"]
mod support;

#[path = "../../examples/stores/kind.rs"]
mod kind;
#[path = "../../examples/stores/pages.rs"]
mod pages;

mod column;
mod document;
mod example;
mod measure;
mod partitions;
mod plans_behind_pooler;
mod pooler;
mod redis_server;
mod subjects;

use std::io::Write;

use lab::Redis;

/// Returns whether Redis is installed.
fn has_redis(what: &str) -> bool {
    is_tested(Redis::is_installed(), "redis-server", what)
}

/// Returns whether a program is installed. If it isn't, prints a message, or fails in CI.
fn is_tested(is_installed: bool, program: &str, what: &str) -> bool {
    if !is_installed {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must install {program}");
        // Doesn't use `eprintln!`, because `cargo test` hides its output.
        writeln!(std::io::stderr(), "{program} isn't installed: {what} is not tested").expect("written");
    }
    is_installed
}
