//! The session store. Each method is one statement, and PostgreSQL's clock is the only clock.

use std::convert::identity;

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use anyhow::{Context, anyhow};
use metrics::counter;
use sqlx::{PgPool, postgres::types::PgInterval};
use sqlx_batcher::{Batcher, acquire};
use uuid::Uuid;

use super::{
    id::SessionId,
    key_change::KeyChange,
    state::{self, SessionState},
    statements::{Load, NewSession, Save, Timeouts, Touch},
};

/// Maximum length of a session's state as JSON, in bytes: 64 KiB. The table has the same limit.
pub const MAX_STATE_BYTES: usize = 64 * 1024;

/// A backend for [`actix_session::SessionMiddleware`] that keeps sessions in PostgreSQL. Cheap to clone.
///
/// | call | promise |
/// | --- | --- |
/// | `save` | Inserts a new row under a new random key. Never overwrites. |
/// | `load` | Returns `None` for unknown, expired, ended, malformed and unreadable sessions. Resets the idle timer in the background, at most once a minute. |
/// | `update` | Only writes a live row, so a session that has ended stays ended. After [`TypedSession::rotate`] or [`TypedSession::log_in`], the row also gets a new key, and the old key is invalid from then on. |
/// | `update_ttl` | Never shortens a session's lifetime, and never revives a session. |
/// | `delete` | Returns after the row is deleted. Deleting it again is not an error. |
///
/// A session expires after the idle timeout without requests, and after the maximum lifetime at the latest. A database
/// failure is always an error, never an empty session.
///
/// [`TypedSession::rotate`]: super::TypedSession::rotate
/// [`TypedSession::log_in`]: super::TypedSession::log_in
#[derive(Clone, Debug)]
pub struct PgSessionStore {
    pub(super) pool: PgPool,
    pub(super) timeouts: Timeouts,
    loads: Batcher<Load>,
    saves: Batcher<Save>,
    touches: Batcher<Touch>,
}

impl PgSessionStore {
    /// Creates a store with an idle timeout of 30 minutes and a maximum lifetime of 8 hours. Besides the pool, it uses up to
    /// three connections of its own, for the statements that concurrent requests share.
    pub fn new(pool: PgPool) -> Self {
        let timeouts =
            Timeouts { idle: interval(Duration::minutes(30)), max_age: interval(Duration::hours(8)) };
        Self::with(pool, timeouts)
    }

    /// Sets how long a session lasts after its last request. The timer is reset at most once a minute, so a session may end
    /// up to a minute early (half the timeout, if that is less).
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self::with(self.pool, Timeouts { idle: interval(timeout), ..self.timeouts })
    }

    /// Sets the maximum lifetime of a session, regardless of activity. It applies to existing sessions, too.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        Self::with(self.pool, Timeouts { max_age: interval(age), ..self.timeouts })
    }

    fn with(pool: PgPool, timeouts: Timeouts) -> Self {
        let options = pool.connect_options();
        Self {
            loads: Batcher::new(&options, Load(timeouts)),
            saves: Batcher::new(&options, Save(timeouts)),
            touches: Batcher::new(&options, Touch(timeouts)),
            pool,
            timeouts,
        }
    }

    /// Resets a session's idle timer in the background. If that fails, the next request tries again.
    fn touch(&self, id: SessionId) {
        let touches = self.touches.clone();
        tokio::spawn(async move {
            if let Err(error) = touches.call(id).await {
                tracing::warn!(%error, "could not reset the idle timer of a session");
            }
        });
    }

    /// Writes the state and the new id of a session, if it is live. Returns whether it was.
    async fn write(&self, id: SessionId, new: SessionId, state: &str, ttl: PgInterval) -> sqlx::Result<bool> {
        let updated = sqlx::query!(
            "
            update sessions
            set id = $2,
                state = $3::text::json,
                expires_at = greatest(expires_at, least(now() + least($4::interval, $5::interval), created_at + $6::interval))
            where id = $1
            and expires_at > now()
            and created_at + $6::interval > now()
            ",
            &id.0,
            &new.0,
            state,
            ttl as _,
            self.timeouts.idle as _,
            self.timeouts.max_age as _,
        )
        .execute(&mut *acquire(&self.pool).await?)
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    /// Gives a session a new id, an owner and a new lifetime, if it is live. Returns whether it was.
    async fn log_in(
        &self,
        id: SessionId,
        new: SessionId,
        owner: Uuid,
        state: &str,
        ttl: PgInterval,
    ) -> sqlx::Result<bool> {
        let updated = sqlx::query!(
            "
            update sessions
            set id = $2,
                owner = $3,
                state = $4::text::json,
                created_at = now(),
                expires_at = now() + least($5::interval, $6::interval, $7::interval)
            where id = $1
            and expires_at > now()
            and created_at + $7::interval > now()
            ",
            &id.0,
            &new.0,
            owner,
            state,
            ttl as _,
            self.timeouts.idle as _,
            self.timeouts.max_age as _,
        )
        .execute(&mut *acquire(&self.pool).await?)
        .await?;
        Ok(updated.rows_affected() > 0)
    }
}

impl SessionStore for PgSessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<SessionState>, LoadError> {
        let Some(id) = SessionId::of(key.as_ref()) else {
            return Ok(None);
        };
        let session =
            self.loads.call(id).await.context("load a session").map_err(logged(LoadError::Other))?;
        let Some(session) = session else {
            return Ok(None);
        };
        if session.is_due {
            self.touch(id);
        }
        let state = state::decode(&session.state).inspect_err(|error| {
            // The error itself would quote the state.
            let (kind, at) = (error.classify(), error.column());
            tracing::warn!(?kind, at, "the state of a session is unreadable; the session is ignored");
        });
        Ok(state.ok())
    }

    async fn save(&self, mut state: SessionState, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let owner = match KeyChange::take(&mut state) {
            Some(KeyChange::LogIn { owner }) => Some(owner),
            // A new session has a new key anyway.
            Some(KeyChange::Rotate) | None => None,
        };
        let state = encode(&state).map_err(logged(SaveError::Serialization))?;
        let key = generate_session_key();
        let id = SessionId::hash(key.as_ref());
        let session = NewSession { id, state, owner, ttl: interval(*ttl) };
        self.saves.call(session).await.context("save a session").map_err(logged(SaveError::Other))?;
        counter!("sessions_started_total").increment(1);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: SessionState,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let change = KeyChange::take(&mut state);
        let state = encode(&state).map_err(logged(UpdateError::Serialization))?;
        let id = SessionId::hash(key.as_ref());
        let new_key = change.is_some().then(generate_session_key);
        let new = SessionId::hash(new_key.as_ref().unwrap_or(&key).as_ref());
        let ttl = interval(*ttl);
        let is_live = match change {
            Some(KeyChange::LogIn { owner }) => self.log_in(id, new, owner, &state, ttl).await,
            Some(KeyChange::Rotate) | None => self.write(id, new, &state, ttl).await,
        };
        if !is_live.context("update a session").map_err(logged(UpdateError::Other))? {
            // Another request logged out or replaced the key. Saving the state again would undo that.
            tracing::debug!("the session ended while a request was using it; its changes are dropped");
            return Ok(key);
        }
        Ok(new_key.unwrap_or(key))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let extended = sqlx::query!(
            "
            update sessions
            set expires_at = least(now() + $2::interval, created_at + $3::interval)
            where id = $1
            and expires_at > now()
            and expires_at < least(now() + $2::interval, created_at + $3::interval)
            ",
            &SessionId::hash(key.as_ref()).0,
            interval(*ttl) as _,
            self.timeouts.max_age as _,
        );
        let extended = extended.execute(&self.pool).await.context("extend a session");
        extended.map(|_| ()).map_err(logged(identity))
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let id = SessionId::hash(key.as_ref());
        let delete = sqlx::query!("delete from sessions where id = $1", &id.0);
        let deleted = async { delete.execute(&mut *acquire(&self.pool).await?).await };
        let deleted = deleted.await.context("delete a session").map_err(logged(identity))?;
        counter!("sessions_ended_total").increment(deleted.rows_affected());
        Ok(())
    }
}

fn encode(state: &SessionState) -> anyhow::Result<String> {
    let column = state::encode(state).context("write a session's state as JSON")?;
    if column.len() > MAX_STATE_BYTES {
        let length = column.len();
        return Err(anyhow!("a session's state of {length} bytes exceeds the limit of {MAX_STATE_BYTES}"));
    }
    Ok(column)
}

/// Logs a failure here, because actix-session drops the cause.
fn logged<E>(wrap: impl FnOnce(anyhow::Error) -> E) -> impl FnOnce(anyhow::Error) -> E {
    |error| {
        counter!("session_store_errors_total").increment(1);
        tracing::error!(error = format!("{error:#}"), "the session store failed");
        wrap(error)
    }
}

/// Converts to PostgreSQL's type. The limit is a century, because PostgreSQL can't add arbitrary intervals to a time.
fn interval(duration: Duration) -> PgInterval {
    const CENTURY: Duration = Duration::days(36_525);
    let duration = duration.clamp(-CENTURY, CENTURY);
    PgInterval { months: 0, days: 0, microseconds: duration.whole_microseconds() as i64 }
}
