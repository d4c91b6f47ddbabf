//! A demo and starter template for sessions in Rust: an Actix app that keeps its sessions in PostgreSQL.
//!
//! To read the code, follow a visit:
//!
//! 1. [`mod@app`]: the route table, and the layers in the order that a request passes them ([`middleware`]).
//! 2. [`session`]: what a session contains ([`session::TypedSession`]) and where it is stored ([`PgSessionStore`]).
//! 3. [`pages`]: the pages, one file each.
//! 4. [`visitors`]: the visit counts, which are exact because they are not part of the session.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
pub mod config;
pub mod database;
pub mod error;
mod metrics;
pub mod middleware;
pub mod pages;
pub mod server;
pub mod session;
pub mod session_limit;
pub mod sweep;
pub mod telemetry;
pub mod visitors;

pub use app::{Dependencies, Pages, build, get, routes};
pub use config::Config;
pub use error::Error;
pub use session::PgSessionStore;
