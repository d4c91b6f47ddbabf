//! Runs the real program with a PostgreSQL server of each test's own, which is killed, stopped, overloaded or cut off. The
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
