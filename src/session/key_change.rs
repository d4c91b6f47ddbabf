//! Passes a key change from a handler to the store. actix-session passes only a key and a state to its store, so the
//! change travels in the state, under a reserved name.
//!
//! actix-session's own `renew` is not used. It deletes the row and saves a new one, so the session doesn't exist in between.

use std::sync::LazyLock;

use actix_session::{Session, storage::generate_session_key};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::state::SessionState;

/// The reserved name. Each process chooses a random one, so that no value in a session can be mistaken for it.
static NAME: LazyLock<String> = LazyLock::new(|| generate_session_key().as_ref().to_owned());

/// A change that replaces the key of a session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum KeyChange {
    /// A new key. The session keeps its age.
    Rotate,
    /// A new key and an owner. The session's lifetime starts again.
    LogIn { owner: Uuid },
}

impl KeyChange {
    /// Asks the store to make this change when it saves the session.
    pub fn request(&self, session: &Session) {
        // A login includes a new key.
        if matches!(self, Self::LogIn { .. }) || !session.entries().contains_key(NAME.as_str()) {
            session.insert(NAME.as_str(), self).expect("this enum can be written as JSON");
        }
    }

    /// Takes a requested change out of the state.
    pub fn take(state: &mut SessionState) -> Option<Self> {
        serde_json::from_str(&state.remove(NAME.as_str())?).ok()
    }
}
