//! The methods that actix-session's middleware calls. Each call runs one statement.

use std::{collections::HashMap, convert::identity};

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use anyhow::{Context, anyhow};

use crate::{
    MAX_STATE_BYTES, PgSessionStore, SessionId, StoreFailure, TARGET,
    change::{Change, Login},
    count,
    guard::{Outcome, note},
    owner::Owner,
    sql::replanned,
    state,
    statements::{Lifetime, NewSession},
    store::{connection, seconds, within_deadline},
};

type State = HashMap<String, String>;

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
        let login = match change {
            Some(Change::LogIn(login)) => Some(login),
            // A new session has a new key anyway.
            Some(Change::Rotate) | None => None,
        };
        let (key, session) =
            self.new_session(&state, login.as_ref(), *ttl).map_err(logged(SaveError::Serialization))?;
        let outcome = Outcome::of(&session);
        self.saves.call(session).await.context("save a session").map_err(logged(SaveError::Other))?;
        count("sessions_started_total", 1);
        note(outcome);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: State,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let id = SessionId::hash(key.as_ref());
        match Change::take(&mut state) {
            None => self.write(id, &state).await.map(|()| key),
            Some(Change::Rotate) => Ok(self.rotate(id, &state).await?.unwrap_or(key)),
            Some(Change::LogIn(login)) => self.log_in(id, &state, &login, *ttl).await,
        }
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let ttl = idle_seconds(*ttl);
        let update = sqlx::query(replanned(&self.sql.update_ttl))
            .bind(SessionId::hash(key.as_ref()))
            .bind(ttl)
            .bind(ttl - (ttl / 2).min(60));
        let updated = within_deadline(async { update.execute(&mut *connection(&self.pool).await?).await });
        updated.await.context("extend a session").map_err(logged(identity))?;
        note(Outcome::SameKey);
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let ended = self.end(SessionId::hash(key.as_ref())).await;
        ended.context("delete a session").map_err(logged(identity)).map(drop)
    }
}

impl<O: Owner> PgSessionStore<O> {
    /// Writes the state of a session if it is live.
    async fn write(&self, id: SessionId, state: &State) -> Result<(), UpdateError> {
        let state = encode(state).map_err(logged(UpdateError::Serialization))?;
        let update = sqlx::query(replanned(&self.sql.update)).bind(id).bind(state);
        let updated = within_deadline(async { update.execute(&mut *connection(&self.pool).await?).await });
        let updated = updated.await.context("update a session").map_err(logged(UpdateError::Other))?;
        if updated.rows_affected() == 0 {
            log_ended();
        }
        note(Outcome::SameKey);
        Ok(())
    }

    /// Gives a live session a new key, and writes its state. Returns `None` if the session has ended.
    async fn rotate(&self, id: SessionId, state: &State) -> Result<Option<SessionKey>, UpdateError> {
        let state = encode(state).map_err(logged(UpdateError::Serialization))?;
        let key = generate_session_key();
        let rotate = sqlx::query_as(replanned(&self.sql.rotate))
            .bind(id)
            .bind(SessionId::hash(key.as_ref()))
            .bind(state);
        let rotated =
            within_deadline(async { rotate.fetch_optional(&mut *connection(&self.pool).await?).await });
        let rotated = rotated.await.context("rotate a session").map_err(logged(UpdateError::Other))?;
        let Some((remembered, seconds_left)) = rotated else {
            log_ended();
            note(Outcome::SameKey);
            return Ok(None);
        };
        note(Outcome::NewKey { remembered, seconds_left });
        Ok(Some(key))
    }

    /// Ends the session, if it still exists, and starts a new one with an owner.
    async fn log_in(
        &self,
        id: SessionId,
        state: &State,
        login: &Login,
        ttl: Duration,
    ) -> Result<SessionKey, UpdateError> {
        let (key, session) =
            self.new_session(state, Some(login), ttl).map_err(logged(UpdateError::Serialization))?;
        let outcome = Outcome::of(&session);
        let log_in = session.bind(sqlx::query(replanned(&self.sql.log_in))).bind(id);
        let started = within_deadline(async { log_in.execute(&mut *connection(&self.pool).await?).await });
        started.await.context("log in").map_err(logged(UpdateError::Other))?;
        count("sessions_started_total", 1);
        note(outcome);
        Ok(key)
    }

    fn new_session(
        &self,
        state: &State,
        login: Option<&Login>,
        ttl: Duration,
    ) -> anyhow::Result<(SessionKey, NewSession<O>)> {
        let usual = Lifetime { idle: idle_seconds(ttl), max_age: self.max_age };
        let remember = login.and_then(|login| login.remember);
        let key = generate_session_key();
        let session = NewSession {
            id: SessionId::hash(key.as_ref()),
            state: encode(state)?,
            owner: login.map(Login::owner).transpose()?,
            lifetime: remember.map_or(usual, |(idle, max_age)| Lifetime { idle, max_age }),
            remembered: remember.is_some(),
        };
        Ok((key, session))
    }
}

/// Logs that another request has logged out or replaced the key. Saving the state would undo that.
fn log_ended() {
    tracing::debug!(target: TARGET, "the session ended during a request, so the request's changes are dropped");
}

fn idle_seconds(ttl: Duration) -> i32 {
    seconds(ttl.try_into().unwrap_or_default())
}

fn encode(state: &State) -> anyhow::Result<String> {
    let column = state::encode(state).context("write a session's state as JSON")?;
    if column.len() > MAX_STATE_BYTES {
        let length = column.len();
        return Err(anyhow!("the session's state has {length} bytes, but the limit is {MAX_STATE_BYTES}"));
    }
    Ok(column)
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
