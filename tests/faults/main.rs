//! The program under faults: a real process, over a PostgreSQL of each test's own that is killed, stopped, starved or cut
//! off. One test at a time, because they measure how long things take.

mod blackhole;
mod client;
mod crashes;
mod limits;
mod outages;
mod panics;
mod shutdown;
mod stage;
mod startup;
#[path = "../support/mod.rs"]
mod support;
