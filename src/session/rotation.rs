//! Rotation: a live session gets a new key, keeps its age and what it holds, and the old key dies.
//!
//! An application with a login calls [`TypedSession::rotate`][rotate] when it changes what a session may do, so that a
//! key that somebody else has planted or seen is worth nothing afterwards (session fixation). actix-session's own
//! `renew` deletes the row and saves another: in between the session does not exist, and its age starts again.
//!
//! [rotate]: super::TypedSession::rotate

use std::sync::LazyLock;

use actix_session::{
    Session, SessionInsertError,
    storage::{SessionKey, generate_session_key},
};
use actix_web::cookie::time::Duration;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{
    SessionState,
    id::SessionId,
    store::{PgSessionStore, interval},
};

/// How long the key before the last rotation still opens the session, so that a request that is on its way with it is
/// not a stranger's: 10 seconds.
pub(crate) const GRACE: PgInterval = PgInterval { months: 0, days: 0, microseconds: 10_000_000 };

/// actix-session hands its store a key and a state, so the wish for a new key travels as a name in the state. It is as
/// random as a session key and a new one for each process: nothing that anyone stores can be mistaken for it, and the
/// store takes it out before it writes.
static WISH: LazyLock<String> = LazyLock::new(|| generate_session_key().as_ref().to_owned());

/// Has the session rotated when it is saved.
pub(super) fn wish(session: &Session) -> Result<(), SessionInsertError> {
    session.insert(WISH.as_str(), true)
}

/// Takes the wish for a new key out of a state; whether there was one.
pub(super) fn take_wish(state: &mut SessionState) -> bool {
    state.remove(WISH.as_str()).is_some()
}

impl PgSessionStore {
    /// Writes `column` into the live session of `key` and gives it a new key, in one statement; `user`, whom the state
    /// names, gets a row if they have none. Gives the key that the session has now, and whether it is still alive.
    ///
    /// Of two rotations at once with the same key the first wins. The second writes its state, as any other request in
    /// flight does, and gives back the key that it came with: the session has one new key, and never becomes two.
    pub(super) async fn rotate(
        &self,
        key: SessionKey,
        column: String,
        user: Option<Uuid>,
        ttl: &Duration,
    ) -> sqlx::Result<(SessionKey, bool)> {
        let new_key = generate_session_key();
        let won = sqlx::query_scalar!(
            r#"
            with rotated as (
                update sessions
                set id = case when id = $1 then $5 else id end,
                    previous_id = case when id = $1 then id else previous_id end,
                    rotated_at = case when id = $1 then now() else rotated_at end,
                    state = $2::text::json,
                    expires_at = greatest(expires_at, least(now() + $3::interval, created_at + $4::interval))
                where (id = $1 or previous_id = $1 and rotated_at > now() - $6::interval)
                and expires_at > now()
                and created_at + $4::interval > now()
                returning id = $5 as won
            ), new_users as (
                insert into users (id)
                select $7::uuid
                from rotated
                where $7::uuid is not null
                on conflict (id) do nothing
            )
            select won as "won!"
            from rotated
            "#,
            &SessionId::hash(key.as_ref()).0,
            column,
            interval(*ttl) as _,
            self.max_age as _,
            &SessionId::hash(new_key.as_ref()).0,
            GRACE as _,
            user,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok((if won == Some(true) { new_key } else { key }, won.is_some()))
    }

    /// Whether `key` is the one key of a live session: not the one before its last rotation. `false` where the database
    /// does not say.
    pub(crate) async fn is_current(&self, key: &str) -> bool {
        let found = sqlx::query_scalar!(
            r#"
            select exists(
                select
                from sessions
                where id = $1
                and expires_at > now()
                and created_at + $2::interval > now()
            ) as "exists!"
            "#,
            &SessionId::hash(key).0,
            self.max_age as _,
        )
        .fetch_one(&self.pool)
        .await;
        found
            .inspect_err(|error| tracing::warn!(%error, "can't tell whether a session's key is current"))
            .unwrap_or(false)
    }
}
