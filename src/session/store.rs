//! The session backend: [`PgSessionStore`] keeps the sessions of actix-session in the table `sessions`.
//!
//! It owns that table's rows and the rules of their lives. A session that is new or rotated brings its user's row along, so
//! that a first visit is one statement; that is all it knows of `users`. It does not own the cookie (the middleware's), what a session
//! means (`session::TypedSession`), or the removal of what has ended ([`crate::session::sweep`]).
//!
//! One method is one statement; where every visit needs it, those who call at the same time share one ([`crate::batch`]).
//! PostgreSQL's clock is the only clock: two application servers need not agree on the time, and no two statements can
//! see a different one.

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use anyhow::{Context, anyhow};
use sqlx::{PgPool, postgres::types::PgInterval};

use super::statements::{Load, NewSession, Save};
use super::{
    id::SessionId,
    rotation,
    state::{self, SessionState},
    user_of,
};
use crate::batch::Batcher;

/// Length of a session's state, as JSON text, in bytes: at most 64 KiB. The table has the same limit, as the constraint
/// `sessions_state_size`.
pub const MAX_STATE_BYTES: usize = 64 * 1024;

/// A backend for [`actix_session::SessionMiddleware`] that keeps sessions in PostgreSQL.
///
/// Cheap to clone: the clones share one pool, and the statements that many visits share.
///
/// | call | promise |
/// | --- | --- |
/// | `save` | a new row under a fresh key, and one in `users` for the user whom the state names, if there is none; never overwrites |
/// | `load` | `None` for whatever is not a live session of ours; moves the idle clock, at most once a minute |
/// | `update` | writes only a live row: a session that has ended stays ended; after [`TypedSession::rotate`] gives it a new key |
/// | `update_ttl` | never shortens, never revives |
/// | `delete` | idempotent; the row is gone when it returns |
///
/// A session ends when nobody has come for the idle timeout, and at the latest when it is as old as the maximum age,
/// after OWASP's [session expiration][owasp]. Every failure of the database is an error, never an empty session.
///
/// For 10 seconds after a rotation the key before it opens the same session: requests that are on their way with it are
/// nobody else's.
///
/// [`TypedSession::rotate`]: super::TypedSession::rotate
/// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#session-expiration
///
/// ```no_run
/// # use actix_session::SessionMiddleware;
/// # use actix_web::cookie::{time::Duration, Key};
/// # use actix_postgres_sessions::PgSessionStore;
/// # fn f(pool: sqlx::PgPool, key: Key) {
/// let store = PgSessionStore::new(pool)
///     .idle_timeout(Duration::minutes(15))
///     .max_age(Duration::hours(12));
/// let middleware = SessionMiddleware::new(store, key);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PgSessionStore {
    pub(super) pool: PgPool,
    idle_timeout: PgInterval,
    pub(super) max_age: PgInterval,
    loads: Batcher<Load>,
    saves: Batcher<Save>,
}

impl PgSessionStore {
    /// A store over the database of `pool`, whose schema is `migrations/`, with an idle timeout of 30 minutes and a
    /// maximum age of 8 hours. Beside the pool it opens two connections of its own, for the statements that many visits
    /// share ([`crate::batch`]). Must be called within a Tokio runtime.
    pub fn new(pool: PgPool) -> Self {
        Self::with(pool, interval(Duration::minutes(30)), interval(Duration::hours(8)))
    }

    fn with(pool: PgPool, idle_timeout: PgInterval, max_age: PgInterval) -> Self {
        let options = pool.connect_options();
        Self {
            loads: Batcher::spawn(&options, Load { idle_timeout, max_age }),
            saves: Batcher::spawn(&options, Save { max_age }),
            pool,
            idle_timeout,
            max_age,
        }
    }

    /// How long a session lives after it was last loaded. To the second; the clock moves at most once a minute, so that
    /// a session may end up to a minute early (half the timeout, where that is less).
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self::with(self.pool, interval(timeout), self.max_age)
    }

    /// How long a session lives at most, counted from its start, however busy it is. Holds at once for sessions that
    /// already exist.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        Self::with(self.pool, self.idle_timeout, interval(age))
    }

    /// Gives the key back, and whether there was a live row to write. The condition names both keys on the row itself: a
    /// statement that has waited for a rotation looks at the row again as it is then, and at nothing else.
    async fn update_row(
        &self,
        key: SessionKey,
        column: String,
        ttl: &Duration,
    ) -> sqlx::Result<(SessionKey, bool)> {
        let updated = sqlx::query!(
            "
            update sessions
            set state = $2::text::json,
                expires_at = greatest(expires_at, least(now() + $3::interval, created_at + $4::interval))
            where (id = $1 or previous_id = $1 and rotated_at > now() - $5::interval)
            and expires_at > now()
            and created_at + $4::interval > now()
            ",
            &SessionId::hash(key.as_ref()).0,
            column,
            interval(*ttl) as _,
            self.max_age as _,
            rotation::GRACE as _,
        )
        .execute(&self.pool)
        .await?;
        Ok((key, updated.rows_affected() > 0))
    }
}

impl SessionStore for PgSessionStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<SessionState>, LoadError> {
        let Some(id) = SessionId::of(key.as_ref()) else {
            return Ok(None);
        };
        let row = self.loads.call(id).await.context("load a session").map_err(logged(LoadError::Other))?;
        Ok(row.and_then(|column| {
            state::decode(&column)
                // Not the error itself, which quotes the state.
                .inspect_err(|error| {
                    let (kind, at) = (error.classify(), error.column());
                    tracing::warn!(?kind, at, "a session's state is unreadable; it opens nothing")
                })
                .ok()
        }))
    }

    async fn save(&self, mut state: SessionState, ttl: &Duration) -> Result<SessionKey, SaveError> {
        // A new session has a new key anyway.
        rotation::take_wish(&mut state);
        let column = encode(&state).map_err(logged(SaveError::Serialization))?;
        let key = generate_session_key();
        let id = SessionId::hash(key.as_ref());
        let session = NewSession { id, user: user_of(&state), state: column, ttl: interval(*ttl) };
        self.saves.call(session).await.context("save a session").map_err(logged(SaveError::Other))?;
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        mut state: SessionState,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let is_rotation = rotation::take_wish(&mut state);
        let column = encode(&state).map_err(logged(UpdateError::Serialization))?;
        let updated = match is_rotation {
            true => self.rotate(key, column, user_of(&state), ttl).await,
            false => self.update_row(key, column, ttl).await,
        };
        let (key, is_live) = updated.context("update a session").map_err(logged(UpdateError::Other))?;
        if !is_live {
            // A logout went through while this request was under way. Saving the state again would undo it; the key
            // goes back to the browser and opens nothing.
            tracing::debug!("the session ended while it was in use; its changes are dropped");
        }
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        sqlx::query!(
            "
            update sessions
            set expires_at = least(now() + $2::interval, created_at + $3::interval)
            where (id = $1 or previous_id = $1 and rotated_at > now() - $4::interval)
            and expires_at > now()
            and created_at + $3::interval > now()
            and expires_at < least(now() + $2::interval, created_at + $3::interval)
            ",
            &SessionId::hash(key.as_ref()).0,
            interval(*ttl) as _,
            self.max_age as _,
            rotation::GRACE as _,
        )
        .execute(&self.pool)
        .await
        .context("extend a session")
        .map_err(logged(std::convert::identity))?;
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        sqlx::query!(
            "
            delete from sessions
            where id = $1 or previous_id = $1 and rotated_at > now() - $2::interval
            ",
            &SessionId::hash(key.as_ref()).0,
            rotation::GRACE as _,
        )
        .execute(&self.pool)
        .await
        .context("delete a session")
        .map_err(logged(std::convert::identity))?;
        Ok(())
    }
}

fn encode(state: &SessionState) -> anyhow::Result<String> {
    let column = state::encode(state).context("write a session's state as JSON")?;
    if column.len() > MAX_STATE_BYTES {
        return Err(anyhow!(
            "a session's state of {} bytes is over the limit of {MAX_STATE_BYTES}",
            column.len()
        ));
    }
    Ok(column)
}

/// actix-session answers 500 and drops the cause, so that the store is the last to know it.
fn logged<E>(wrap: impl FnOnce(anyhow::Error) -> E) -> impl FnOnce(anyhow::Error) -> E {
    |error| {
        tracing::error!(error = format!("{error:#}"), "the session store failed");
        wrap(error)
    }
}

/// A century is as good as for ever, and still a time that PostgreSQL can add to another.
pub(super) fn interval(duration: Duration) -> PgInterval {
    const CENTURY: Duration = Duration::days(36_525);
    PgInterval {
        months: 0,
        days: 0,
        microseconds: duration.clamp(-CENTURY, CENTURY).whole_microseconds() as i64,
    }
}
