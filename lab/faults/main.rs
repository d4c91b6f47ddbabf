//! Runs the real program. A test that kills, stops, overloads or cuts off PostgreSQL has its own server.
//! Tests that load the machine run one at a time, because some of them measure time.

mod blackhole;
mod client;
mod connections;
mod crashes;
mod limits;
mod log;
mod metrics;
mod outages;
#[path = "../own_server.rs"]
mod own_server;
mod panics;
mod program;
mod requests;
mod shutdown;
mod stage;
mod startup;
#[path = "../../tests/support/mod.rs"]
mod support;
mod upgrade;

use support::process;
