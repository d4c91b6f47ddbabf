//! A store that keeps sessions in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{collections::HashMap, time::Instant};

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use time::Duration;

use crate::session::State;

/// Keeps sessions in the memory of this process. Clones share them.
///
/// Other processes can't access the sessions, and a restart loses them. Expired sessions remain in memory
/// until they are requested.
#[derive(Clone, Default)]
pub struct MemorySessionStore(Arc<Mutex<HashMap<String, (State, Instant)>>>);

impl MemorySessionStore {
    /// Removes the session with this key if it has expired, and returns all sessions.
    fn sessions(&self, key: &str) -> MutexGuard<'_, HashMap<String, (State, Instant)>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.get(key).is_some_and(|(_, expires_at)| *expires_at <= Instant::now()) {
            sessions.remove(key);
        }
        sessions
    }

    /// Makes a session expire this much earlier, for tests.
    pub fn age(&self, key: &SessionKey, by: Duration) {
        if let Some((_, expires_at)) = self.sessions(key.as_ref()).get_mut(key.as_ref()) {
            *expires_at = expires_at.checked_sub(by.unsigned_abs()).unwrap_or_else(Instant::now);
        }
    }

    /// Returns all keys and states, for tests.
    pub fn dump(&self) -> String {
        format!("{:?}", self.sessions(""))
    }
}

impl SessionStore for MemorySessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        Ok(self.sessions(key.as_ref()).get(key.as_ref()).map(|(state, _)| state.clone()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        self.sessions("").insert(key.as_ref().to_owned(), (state, Instant::now() + *ttl));
        Ok(key)
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &Duration) -> Result<SessionKey, UpdateError> {
        // Inserting a missing session would undo a logout.
        if let Some(session) = self.sessions(key.as_ref()).get_mut(key.as_ref()) {
            *session = (state, Instant::now() + *ttl);
        }
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> anyhow::Result<()> {
        if let Some((_, expires_at)) = self.sessions(key.as_ref()).get_mut(key.as_ref()) {
            *expires_at = (*expires_at).max(Instant::now() + *ttl);
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.sessions(key.as_ref()).remove(key.as_ref());
        Ok(())
    }
}
