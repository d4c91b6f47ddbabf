//! The tests, one function for each promise, and what they share.

pub mod ends;
pub mod races;
pub mod server;
pub mod states;
pub mod time;

use std::collections::HashMap;

use ::time::Duration;
use actix_session::storage::{LoadError, SessionKey, SessionStore};
use anyhow::{Result, ensure};

/// The contents of a session as actix-session passes them: names, each with the JSON text of its value.
pub type State = HashMap<String, String>;

/// The time to live of the sessions in these tests.
const TTL: Duration = Duration::minutes(30);

fn state(name: &str, json: &str) -> State {
    HashMap::from([(name.to_owned(), json.to_owned())])
}

fn copy(key: &SessionKey) -> SessionKey {
    key.as_ref().to_owned().try_into().expect("a copy of a key is a key")
}

async fn save(store: &impl SessionStore, state: &State) -> Result<SessionKey> {
    Ok(store.save(state.clone(), &TTL).await?)
}

/// Returns the state of a session, if the key has one.
async fn load(store: &impl SessionStore, key: &SessionKey) -> Result<Option<State>> {
    match store.load(key).await {
        // actix-session's middleware turns this into an empty session, not into an error page.
        Err(LoadError::Deserialization(_)) => Ok(None),
        loaded => Ok(loaded?),
    }
}

async fn update(store: &impl SessionStore, key: &SessionKey, state: &State) -> Result<SessionKey> {
    Ok(store.update(copy(key), state.clone(), &TTL).await?)
}

async fn ensure_live(store: &impl SessionStore, key: &SessionKey, state: &State, when: &str) -> Result<()> {
    ensure!(load(store, key).await?.as_ref() == Some(state), "the session isn't the same {when}");
    Ok(())
}

async fn ensure_ended(store: &impl SessionStore, key: &SessionKey, when: &str) -> Result<()> {
    ensure!(load(store, key).await?.is_none(), "the session is still valid {when}");
    Ok(())
}
