//! Sessions in Rust, done right: an Actix application that keeps its sessions in PostgreSQL.
//!
//! The library exists so that tests, and whoever copies this, can build the application and use the store. To read it,
//! follow a visit:
//!
//! 1. [`mod@app`]: the route table, and the middleware that a request meets on its way in;
//! 2. [`middleware`]: one file each, `session_cookie` first;
//! 3. [`session`]: what a session holds ([`session::TypedSession`]), where it is kept ([`PgSessionStore`]), how it ends
//!    ([`session::sweep`]);
//! 4. [`pages`]: a file a page, its template beside its handlers;
//! 5. [`users`]: the facts that must be exact, outside the session;
//! 6. [`batch`]: how the visits that come at the same time share one statement.
//!
//! Around it: [`config`] reads the environment, [`database`] sets up the pool and migrates, [`server`] listens and
//! stops, [`telemetry`] logs, [`error`] is what a handler may fail with.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
pub mod batch;
pub mod config;
pub mod database;
pub mod error;
pub mod middleware;
pub mod pages;
pub mod server;
pub mod session;
pub mod telemetry;
pub mod users;

pub use app::{Dependencies, app};
pub use config::Config;
pub use error::Error;
pub use session::{PgSessionStore, sweep::sweep};
