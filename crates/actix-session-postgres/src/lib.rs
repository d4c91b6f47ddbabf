#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backend;
mod change;
mod count;
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
pub use store::{MAX_STATE_BYTES, PgSessionStore};
pub use sweep::Sweep;
pub use table::{InvalidTable, MIGRATION};
pub use typed::Typed;

/// The target of this crate's log lines. Not the name of the crate, because a filter for `actix_session` would match it, too.
const TARGET: &str = "session_store";
