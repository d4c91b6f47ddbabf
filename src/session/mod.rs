//! The session backend: [`PgSessionStore`] keeps the sessions of [`actix_session`] in the PostgreSQL table `sessions`, and
//! [`TypedSession`] gives handlers typed access to a session's contents.
//!
//! This folder uses nothing else from the app. To use it in another Actix app, copy the folder, `crates/sqlx-batcher/` and
//! `migrations/0001_create_sessions.sql`, and run `cargo sqlx prepare`.

pub mod data;
pub mod id;
mod key_change;
mod owner;
pub mod state;
mod statements;
pub mod store;
pub mod sweep;

pub use data::{SessionData, TypedSession};
pub use id::SessionId;
pub use owner::OwnedSession;
pub use statements::load_sql;
pub use store::PgSessionStore;
