//! A store that keeps sessions in memory.

use std::sync::{Arc, Mutex};
use std::{collections::HashMap, time::Instant};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use time::Duration;

use crate::session::State;

/// Keeps sessions in the memory of this process, even after they have expired. Clones share them.
#[derive(Clone, Default)]
pub struct MemorySessionStore(Arc<Mutex<HashMap<String, (State, Instant)>>>);

impl MemorySessionStore {
    /// Calls `f` with the state and the expiry of this session, unless the session has expired.
    fn with<T>(&self, key: &SessionKey, f: impl FnOnce(&mut State, &mut Instant) -> T) -> Option<T> {
        let mut sessions = self.0.lock().expect("no panic");
        let (state, expires_at) = sessions.get_mut(key.as_ref())?;
        (*expires_at > Instant::now()).then(|| f(state, expires_at))
    }

    /// Makes a session expire this much earlier, for tests.
    pub fn age(&self, key: &SessionKey, by: Duration) {
        self.with(key, |_, expires_at| *expires_at -= by);
    }

    /// Returns all keys and states, for tests.
    pub fn dump(&self) -> String {
        format!("{:?}", self.0.lock().expect("no panic"))
    }
}

impl SessionStore for MemorySessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        Ok(self.with(key, |state, _| state.clone()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let key = actix_session::storage::generate_session_key();
        let session = (state, Instant::now() + *ttl);
        self.0.lock().expect("no panic").insert(key.as_ref().to_owned(), session);
        Ok(key)
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &Duration) -> Result<SessionKey, UpdateError> {
        // Inserting a missing session would undo a logout.
        self.with(&key, |old, expires_at| (*old, *expires_at) = (state, Instant::now() + *ttl));
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> anyhow::Result<()> {
        self.with(key, |_, expires_at| *expires_at = (*expires_at).max(Instant::now() + *ttl));
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.lock().expect("no panic").remove(key.as_ref());
        Ok(())
    }
}
