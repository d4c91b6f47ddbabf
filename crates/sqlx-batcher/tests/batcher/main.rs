//! Tests the batcher on a real PostgreSQL server, with one file per subject.

mod batching;
mod conflicts;
mod connections;
mod outages;
mod refusals;
mod support;
