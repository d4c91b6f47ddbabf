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

/// The target of the log lines. A filter for `actix_session` would also match the crate's name.
const TARGET: &str = "session_store";

/// Counts events, if the program has installed a metrics recorder.
fn count(_name: &'static str, _by: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!(_name).increment(_by);
}
