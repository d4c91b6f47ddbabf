//! The methods that actix-session's middleware calls. Each call runs one statement.

use std::convert::identity;

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use anyhow::{Context, anyhow};

use crate::{
    PgSessionStore, SessionId, StoreFailure, TARGET, count,
    guard::{Outcome, note},
    owner::Owner,
    session::Change,
    sql::replanned,
    state::{self, State},
    statements::{Lifetime, NewSession, seconds},
};

impl<O: Owner> SessionStore for PgSessionStore<O> {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let Some(id) = SessionId::of(key.as_ref()) else {
            return Ok(None);
        };
        let session =
            self.loads.call(id).await.context("load a session").map_err(logged(LoadError::Other))?;
        let Some((_, state, is_due)) = session else {
            return Ok(None);
        };
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

    async fn save(&self, mut state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let change = Change::take(&mut state);
        if matches!(change, Some(Change::Rotate)) && state.is_empty() {
            // There is no session to rotate, so this key has no row.
            note(Outcome::SameKey);
            return Ok(generate_session_key());
        }
        let state = state::encode(&state).map_err(logged(SaveError::Serialization))?;
        self.start(state, change, *ttl, None).await.map_err(logged(SaveError::Other))
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: State,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let change = Change::take(&mut state);
        let state = state::encode(&state).map_err(logged(UpdateError::Serialization))?;
        let updated = match change {
            None => self.write(key, state).await,
            Some(Change::Rotate) => self.rotate(key, state).await,
            Some(Change::LogIn { .. }) => {
                self.start(state, change, *ttl, Some(SessionId::hash(key.as_ref()))).await
            }
        };
        updated.map_err(logged(UpdateError::Other))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let ttl = idle_seconds(*ttl);
        let update_ttl = sqlx::query(replanned(&self.sql.update_ttl))
            .bind(SessionId::hash(key.as_ref()))
            .bind(ttl)
            .bind(ttl - (ttl / 2).min(60));
        self.execute(update_ttl).await.context("extend a session").map_err(logged(identity))?;
        note(Outcome::SameKey);
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let ended = self.end(SessionId::hash(key.as_ref())).await;
        ended.context("delete a session").map_err(logged(identity)).map(drop)
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
        let (owner, remember) = match change {
            Some(Change::LogIn { owner, remember }) => (Some(parse(&owner)?), remember),
            // A new session has a new key anyway.
            Some(Change::Rotate) | None => (None, None),
        };
        let key = generate_session_key();
        let session = NewSession {
            id: SessionId::hash(key.as_ref()),
            state,
            owner,
            lifetime: remember.unwrap_or(Lifetime { idle: idle_seconds(ttl), max_age: self.max_age }),
            remembered: remember.is_some(),
        };
        let (remembered, seconds_left) = (session.remembered, session.lifetime.max_age.into());
        if let Some(old) = replaced {
            let log_in = session.bind(sqlx::query(replanned(&self.sql.log_in))).bind(old);
            self.execute(log_in).await.context("log in")?;
        } else {
            self.saves.call(session).await.context("save a session")?;
        }
        count("sessions_started_total", 1);
        note(Outcome::NewKey { remembered, seconds_left });
        Ok(key)
    }

    /// Writes a session's state if the session is live. Returns the same key.
    async fn write(&self, key: SessionKey, state: String) -> anyhow::Result<SessionKey> {
        let update = sqlx::query(replanned(&self.sql.update)).bind(SessionId::hash(key.as_ref())).bind(state);
        if self.execute(update).await.context("update a session")? == 0 {
            log_ended();
        }
        note(Outcome::SameKey);
        Ok(key)
    }

    /// Gives a session a new key, and writes its state. Returns the new key, or the old one if the session has ended.
    async fn rotate(&self, key: SessionKey, state: String) -> anyhow::Result<SessionKey> {
        let new_key = generate_session_key();
        let rotate = sqlx::query_as(replanned(&self.sql.rotate))
            .bind(SessionId::hash(key.as_ref()))
            .bind(SessionId::hash(new_key.as_ref()))
            .bind(state);
        let Some((remembered, seconds_left)) =
            self.fetch_all(rotate).await.context("rotate a session")?.pop()
        else {
            log_ended();
            note(Outcome::SameKey);
            return Ok(key);
        };
        note(Outcome::NewKey { remembered, seconds_left });
        Ok(new_key)
    }
}

/// Parses the owner of a login.
fn parse<O: Owner>(owner: &str) -> anyhow::Result<O> {
    // The error's own message would quote the owner.
    serde_json::from_str(owner)
        .map_err(|_| anyhow!("the owner passed to log_in isn't a {}", std::any::type_name::<O>()))
}

/// Logs that another request has ended the session or replaced its key. Saving the state would undo that.
fn log_ended() {
    tracing::debug!(target: TARGET, "the session ended during a request, so the request's changes are dropped");
}

fn idle_seconds(ttl: Duration) -> i32 {
    seconds(ttl.try_into().unwrap_or_default())
}

/// Logs a failure, because actix-session discards its cause.
fn logged<E>(wrap: impl FnOnce(anyhow::Error) -> E) -> impl FnOnce(anyhow::Error) -> E {
    |error| {
        count("session_store_errors_total", 1);
        tracing::error!(target: TARGET, error = format!("{error:#}"), "the session store failed");
        note(Outcome::Failed(StoreFailure::of(&error)));
        wrap(error)
    }
}
