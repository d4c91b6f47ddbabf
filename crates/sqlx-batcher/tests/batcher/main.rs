//! The batcher on a real PostgreSQL server: one file for each subject.

mod batching;
mod conflicts;
mod connections;
mod outages;
mod refusals;
mod support;
