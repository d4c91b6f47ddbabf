//! An acceptance test for any [`SessionStore`] of actix-session 0.11. It tells which [`Promise`]s a store keeps.
//!
//! Describe your store with a [`Subject`], and [`run`] the suite on it:
//!
//! ```
//! use actix_session::storage::SessionKey;
//! use session_store_suite::{MemorySessionStore, Promise, Subject, run};
//! use time::Duration;
//!
//! struct Mine(MemorySessionStore);
//!
//! impl Subject for Mine {
//!     type Store = MemorySessionStore;
//!
//!     async fn store(&self) -> MemorySessionStore { self.0.clone() }
//!     async fn age(&self, key: &SessionKey, by: Duration) { self.0.age(key, by) }
//!     async fn stored(&self) -> String { self.0.dump() }
//!     fn unclaimed(&self) -> &[Promise] { &[Promise::MaxAge, Promise::HiddenKeys, Promise::SizeLimit] }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! run(&Mine(MemorySessionStore::default())).await.assert_claims();
//! # });
//! ```
//!
//! A promise that the store claims and breaks fails [`Report::assert_claims`]. A promise that it keeps without
//! claiming it is only reported. Print the [`Report`] to see everything.
//!
//! The suite needs a tokio runtime with timers, such as the one of `#[actix_web::test]`. It takes about a second.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod memory;
mod promise;
mod promises;
mod report;
mod subject;

pub use memory::MemorySessionStore;
pub use promise::Promise;
pub use promises::races::revived_sessions;
pub use report::{Finding, Outcome, Report, run};
pub use subject::Subject;

#[cfg(doc)]
use actix_session::storage::SessionStore;
