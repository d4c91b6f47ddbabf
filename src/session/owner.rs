//! All sessions of one account, for "where you are logged in" and "log out everywhere else".

use sqlx::postgres::types::PgInterval;
use sqlx_batcher::acquire;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PgSessionStore, SessionId};

/// A live session of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedSession {
    /// Which session it is.
    pub id: SessionId,
    /// Time of the login.
    pub created_at: OffsetDateTime,
    /// Time at which it expires unless it is used before then.
    pub expires_at: OffsetDateTime,
}

impl PgSessionStore {
    /// Returns the live sessions that are logged in as `owner`, newest first.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sessions_of(&self, owner: Uuid) -> sqlx::Result<Vec<OwnedSession>> {
        sqlx::query_as!(
            OwnedSession,
            r#"
            select
                id as "id: SessionId",
                created_at,
                least(expires_at, created_at + $2::interval) as "expires_at!"
            from sessions
            where owner = $1
            and expires_at > now()
            and created_at + $2::interval > now()
            order by created_at desc, id
            "#,
            owner,
            self.timeouts.max_age as PgInterval,
        )
        .fetch_all(&mut *acquire(&self.pool).await?)
        .await
    }

    /// Ends all sessions of `owner` except `but`, and returns how many. They are invalid at once.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn end_all_of(&self, owner: Uuid, but: Option<SessionId>) -> sqlx::Result<u64> {
        let deleted = sqlx::query!(
            "
            delete from sessions
            where owner = $1
            and id is distinct from $2
            ",
            owner,
            but as Option<SessionId>,
        )
        .execute(&mut *acquire(&self.pool).await?)
        .await?;
        metrics::counter!("sessions_ended_total").increment(deleted.rows_affected());
        Ok(deleted.rows_affected())
    }
}
