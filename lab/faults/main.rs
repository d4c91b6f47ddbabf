//! Runs the real program. Each test has its own PostgreSQL server, which it kills, stops, overloads or cuts off. The
//! tests run one at a time because they measure how long things take.

mod blackhole;
mod client;
mod connections;
mod crashes;
mod limits;
mod log;
mod metrics;
mod outages;
mod panics;
#[allow(dead_code)]
#[path = "../../tests/support/process.rs"]
mod process;
mod program;
mod requests;
mod shutdown;
mod stage;
mod startup;
#[path = "../../tests/support/mod.rs"]
mod support;
mod upgrade;
