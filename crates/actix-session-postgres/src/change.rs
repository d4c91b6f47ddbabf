//! Passes a handler's request for a rotation or a login to the store. actix-session passes only a key and a
//! state to its store, so the state contains the request, under a reserved name.

use std::{collections::HashMap, sync::LazyLock};

use actix_session::{Session, storage::generate_session_key};
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// The reserved name. Each process chooses it at random, so no value in a session has the same name.
static NAME: LazyLock<String> = LazyLock::new(|| generate_session_key().as_ref().to_owned());

/// A change that replaces a session's key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A new key. The session keeps its age.
    Rotate,
    /// A new session.
    LogIn(Login),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    /// As JSON.
    owner: String,
    /// Idle time and maximum age in seconds, if they differ from the store's.
    pub remember: Option<(i32, i32)>,
}

impl Login {
    pub fn new(owner: &impl Owner) -> Self {
        let owner = serde_json::to_string(owner).expect("an owner can be serialized as JSON");
        Self { owner, remember: None }
    }

    pub fn owner<O: Owner>(&self) -> anyhow::Result<O> {
        // The error's own message would quote the owner.
        serde_json::from_str(&self.owner)
            .map_err(|_| anyhow::anyhow!("it is not a {}", std::any::type_name::<O>()))
            .context("the owner passed to log_in doesn't have the store's owner type")
    }
}

impl Change {
    /// Asks the store to make this change when it saves the session.
    pub fn request(&self, session: &Session) {
        // A login includes a new key.
        if matches!(self, Self::LogIn(_)) || !session.contains_key(&NAME) {
            session.insert(NAME.as_str(), self).expect("this enum can be serialized as JSON");
        }
    }

    /// Removes a requested change from the state and returns it.
    pub fn take(state: &mut HashMap<String, String>) -> Option<Self> {
        serde_json::from_str(&state.remove(NAME.as_str())?).ok()
    }
}

/// Returns whether this is the name of a requested change, which isn't part of the session's contents.
pub(crate) fn is_reserved(name: &str) -> bool {
    name == *NAME
}
