#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backend;
mod failure;
mod guard;
mod id;
mod owner;
mod session;
mod sql;
mod state;
mod statements;
mod store;
mod sweep;
mod table;
mod typed;

pub use failure::StoreFailure;
pub use guard::{Guard, guard};
pub use id::SessionId;
pub use owner::{OwnedSession, Owner};
pub use session::{LogIn, PgSession};
pub use state::MAX_STATE_BYTES;
pub use store::PgSessionStore;
pub use sweep::Sweep;
pub use table::{InvalidTable, MIGRATION};
pub use typed::Typed;

/// The target of this crate's log lines. It isn't the crate's name, because a filter for `actix_session`
/// would also match that.
const TARGET: &str = "session_store";

/// Counts an event, if the program has installed a metrics recorder.
#[cfg(feature = "metrics")]
fn count(name: &'static str, by: u64) {
    metrics::counter!(name).increment(by);
}

#[cfg(not(feature = "metrics"))]
fn count(_: &'static str, _: u64) {}
