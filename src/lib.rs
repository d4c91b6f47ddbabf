//! An Actix app that keeps its sessions in PostgreSQL.
//!
//! To read the code, follow a request:
//!
//! 1. [`server`] starts the app. [`mod@app`] has the route table and the layers, which are in [`http`].
//! 2. [`session`] defines what a session contains. [`actix_session_postgres`] stores it.
//! 3. [`pages`] has one file per page. [`view`] has what the templates share.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod accounts; // accounts
pub mod app;
pub mod cli;
pub mod config;
pub mod database;
mod database_url;
pub mod error;
pub mod fetch_metadata;
pub mod http;
pub mod limits;
pub mod log;
mod metrics;
pub mod pages;
pub mod proxies;
mod rate_limit; // accounts, demo
pub mod readiness;
pub mod secret;
pub mod server;
pub mod session;
pub mod session_limit; // demo
pub mod sweep;
pub mod view;
pub mod visitors; // demo

pub use app::{Dependencies, Pages, build, routes};
pub use config::Config;
pub use error::Error;
pub use http::get;
