//! The owners of sessions, for pages such as "where you are logged in" and "log out everywhere else".

use std::{collections::HashMap, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Encode, Postgres, Type, postgres::PgHasArrayType};
use time::OffsetDateTime;

use crate::{PgSessionStore, SessionId, count, sql::replanned, state};

macro_rules! owner {
    ($($bounds:tt)+) => {
        /// An account's ID: any type that sqlx can bind and serde can serialize, such as `Uuid` or `i64`.
        pub trait Owner: $($bounds)+ {}

        impl<T: $($bounds)+> Owner for T {}
    };
}

owner! {
    Clone + PartialEq + Serialize + DeserializeOwned + Type<Postgres> + for<'q> Encode<'q, Postgres> + PgHasArrayType
    + Send + Sync + Unpin + 'static
}

/// A live session of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedSession {
    /// The ID of its row.
    pub id: SessionId,
    /// When the login happened.
    pub created_at: OffsetDateTime,
    /// When it expires, unless it is used before then.
    pub expires_at: OffsetDateTime,
    /// When it expires, regardless of activity.
    pub ends_at: OffsetDateTime,
    /// How long it lasts without requests. `expires_at - idle` is the time of the last use, to the minute, except
    /// shortly before `ends_at`.
    pub idle: Duration,
    /// Whether the login is remembered ([`LogIn::remember`](crate::LogIn::remember)).
    pub remembered: bool,
    /// Its values as JSON, by name. Empty if the row is unreadable.
    pub state: HashMap<String, String>,
}

type Row = (SessionId, OffsetDateTime, OffsetDateTime, OffsetDateTime, i32, bool, String);

impl<O: Owner> PgSessionStore<O> {
    /// Returns the live sessions of `owner`, newest first.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn sessions_of(&self, owner: &O) -> sqlx::Result<Vec<OwnedSession>> {
        let sessions = sqlx::query_as(replanned(&self.sql.sessions_of)).bind(owner.clone());
        let sessions = self.run(async |mut connection| sessions.fetch_all(&mut *connection).await).await?;
        let session = |(id, created_at, expires_at, ends_at, idle, remembered, state): Row| {
            let idle = Duration::from_secs(idle.unsigned_abs().into());
            let state = state::decode(&state).unwrap_or_default();
            OwnedSession { id, created_at, expires_at, ends_at, idle, remembered, state }
        };
        Ok(sessions.into_iter().map(session).collect())
    }

    /// Ends all sessions of `owner` except `but`, and returns how many it ended. The effect is immediate.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn end_all_of(&self, owner: &O, but: Option<SessionId>) -> sqlx::Result<u64> {
        let delete = sqlx::query(replanned(&self.sql.end_all_of)).bind(owner.clone()).bind(but);
        self.execute(delete).await.inspect(|ended| count("sessions_ended_total", *ended))
    }

    /// Ends one session, and returns whether it existed. Check its owner yourself, for example with
    /// [`PgSessionStore::sessions_of`].
    ///
    /// # Errors
    /// Returns an error if the database can't be reached.
    pub async fn end(&self, id: SessionId) -> sqlx::Result<bool> {
        let ended = self.execute(sqlx::query(replanned(&self.sql.delete)).bind(id)).await?;
        count("sessions_ended_total", ended);
        Ok(ended > 0)
    }
}
