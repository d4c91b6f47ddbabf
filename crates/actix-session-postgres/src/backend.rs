//! The methods that actix-session's middleware calls. Each call runs one statement.

use actix_session::storage::{LoadError, SaveError, UpdateError};
use actix_session::storage::{SessionKey, SessionStore, generate_session_key};
use actix_web::cookie::time::Duration;
use anyhow::Context;

use crate::guard::{Outcome, note};
use crate::state::{self, State};
use crate::statements::{Lifetime, NewSession, seconds};
use crate::{PgSessionStore, SessionId, StoreFailure, TARGET, owner::Owner, session::Change, sql::replanned};

impl<O: Owner> SessionStore for PgSessionStore<O> {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let Some(id) = SessionId::of(key.as_ref()) else { return Ok(None) };
        let loaded = self.loads.call(id).await.context("load a session");
        let Some((_, state, is_due)) = loaded.map_err(logged(LoadError::Other))? else { return Ok(None) };
        if is_due {
            self.touch(id);
        }
        let state = state::decode(&state).inspect_err(|error| {
            // The error's own message would quote the state.
            let (kind, at) = (error.classify(), error.column());
            tracing::warn!(target: TARGET, ?kind, at, "ignoring a session because its state is unreadable");
        });
        Ok(state.ok())
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let (change, state) = Change::take(state);
        if matches!(change, Some(Change::Rotate)) && state.is_empty() {
            // There is no session to rotate, so this key has no row.
            note(Outcome::SameKey);
            return Ok(generate_session_key());
        }
        let state = state::encode(&state).map_err(logged(SaveError::Serialization))?;
        self.start(state, change, *ttl, None).await.map_err(logged(SaveError::Other))
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &Duration) -> Result<SessionKey, UpdateError> {
        // A new key or a failure replaces this.
        note(Outcome::SameKey);
        let id = SessionId::hash(key.as_ref());
        let (change, state) = Change::take(state);
        let state = state::encode(&state).map_err(logged(UpdateError::Serialization))?;
        let updated = match change {
            None => {
                let update = sqlx::query(replanned(&self.sql.update)).bind(id).bind(state);
                self.execute(update).await.context("update a session").map(|_| key)
            }
            Some(Change::Rotate) => self.rotate(id, state).await.map(|new| new.unwrap_or(key)),
            Some(Change::LogIn { .. }) => self.start(state, change, *ttl, Some(id)).await,
        };
        updated.map_err(logged(UpdateError::Other))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        note(Outcome::SameKey);
        let id = SessionId::hash(key.as_ref());
        let ttl = seconds((*ttl).try_into().unwrap_or_default());
        let extend = sqlx::query(replanned(&self.sql.update_ttl)).bind(id).bind(ttl);
        self.execute(extend).await.context("extend a session").map_err(logged(|error| error)).map(drop)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let ended = self.end(SessionId::hash(key.as_ref())).await;
        ended.context("delete a session").map_err(logged(|error| error)).map(drop)
    }
}

impl<O: Owner> PgSessionStore<O> {
    /// Starts a session with a new key. If there is a session to replace, ends it in the same statement.
    async fn start(
        &self,
        state: String,
        change: Option<Change>,
        ttl: Duration,
        replaced: Option<SessionId>,
    ) -> anyhow::Result<SessionKey> {
        let key = generate_session_key();
        let id = SessionId::hash(key.as_ref());
        let lifetime = Lifetime { idle: ttl.try_into().unwrap_or_default(), max_age: self.max_age };
        let mut session = NewSession { id, state, owner: None, lifetime, remembered: false };
        if let Some(Change::LogIn { owner, remember }) = change {
            // serde's own message would quote the owner.
            session.owner = Some(serde_json::from_str(&owner).ok().context("the owner has the wrong type")?);
            session.lifetime = remember.unwrap_or(lifetime);
            session.remembered = remember.is_some();
        }
        let (remembered, seconds_left) = (session.remembered, seconds(session.lifetime.max_age).into());
        if let Some(old) = replaced {
            self.execute(session.insert(&self.sql.log_in).bind(old)).await.context("log in")?;
        } else {
            self.saves.call(session).await.context("save a session")?;
        }
        crate::count("sessions_started_total", 1);
        note(Outcome::NewKey { remembered, seconds_left });
        Ok(key)
    }

    /// Writes a session's state under a new key. Returns that key, unless the session has ended.
    async fn rotate(&self, id: SessionId, state: String) -> anyhow::Result<Option<SessionKey>> {
        let key = generate_session_key();
        let new_id = SessionId::hash(key.as_ref());
        let rotate = sqlx::query_as(replanned(&self.sql.rotate)).bind(id).bind(new_id).bind(state);
        let rotated = self.run(async |mut connection| rotate.fetch_optional(&mut *connection).await).await;
        let Some((remembered, seconds_left)) = rotated.context("rotate a session")? else { return Ok(None) };
        note(Outcome::NewKey { remembered, seconds_left });
        Ok(Some(key))
    }
}

/// Logs a failure, because actix-session discards its cause.
fn logged<E>(wrap: impl FnOnce(anyhow::Error) -> E) -> impl FnOnce(anyhow::Error) -> E {
    |error| {
        crate::count("session_store_errors_total", 1);
        tracing::error!(target: TARGET, error = format!("{error:#}"), "the session store failed");
        note(Outcome::Failed(StoreFailure::of(&error)));
        wrap(error)
    }
}
