//! The guarantees. Each one has a sentence, and a function of the same name that checks it.

pub mod ends;
mod server;
mod states;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::Subject;

/// Checks one guarantee. The error says how the store breaks it.
type Check<S> = for<'a> fn(&'a S) -> LocalBoxFuture<'a, Result<()>>;

macro_rules! guarantees {
    ($($file:ident::$name:ident: $sentence:literal,)*) => {
        /// Returns the name, sentence and check of each guarantee, in the order in which they are checked.
        pub fn guarantees<S: Subject>() -> Vec<(&'static str, &'static str, Check<S>)> {
            vec![$((stringify!($name), $sentence, |subject| Box::pin($file::$name(subject))),)*]
        }
    };
}

guarantees! {
    states::round_trip: "A loaded state has exactly the bytes that were saved",
    states::no_overwriting: "Saving a session never overwrites another one",
    states::invalid_keys: "Unknown and malformed keys don't load a session",
    states::concurrent_updates: "After 200 concurrent updates, the session contains exactly one complete update",
    states::size_limit: "Saving a state that is too large fails, and doesn't change the session",
    states::hidden_keys: "Keys are not stored in the clear",
    ends::complete_deletion: "Deletion is complete and idempotent",
    ends::update_after_delete: "An update never brings back a deleted session",
    ends::logout_race: "A slow request never undoes a concurrent logout",
    ends::idle_timeout: "A session expires if it isn't used",
    ends::max_age: "A session expires at its maximum age, regardless of activity",
    ends::final_expiry: "No method brings back an expired session",
    ends::touch: "`update_ttl` extends a session",
    ends::touch_only_extends: "`update_ttl` never shortens a session",
    server::server_clock: "Sessions work even if the clocks of the app and the server differ by a day",
    server::outage: "During an outage, calls fail within 3 seconds, and never return an empty session",
    server::recovery: "The store recovers within 3 seconds after an outage",
    server::durability: "Saved sessions survive a crash of the store",
}
