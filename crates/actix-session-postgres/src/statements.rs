//! The statements that concurrent requests share through a [`sqlx_batcher::Batcher`].

use std::{marker::PhantomData, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};
use sqlx_batcher::Statement;

use crate::sql::{Sql, replanned};
use crate::{id::SessionId, owner::Owner};

/// Reads live sessions.
pub(crate) struct Load(pub Arc<Sql>);

/// A live session: its ID, its state, and whether its idle timer should be reset.
type LiveSession = (SessionId, String, bool);

impl Statement for Load {
    type Item = SessionId;
    type Output = Option<LiveSession>;

    async fn run(&self, connection: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<Self::Output>> {
        // PostgreSQL plans a statement with an array again on each call. That takes 21 of the statement's 25 µs.
        if let [id] = ids {
            let session = sqlx::query_as(replanned(&self.0.load)).bind(id);
            return Ok(vec![session.fetch_optional(connection).await?]);
        }
        let sessions = sqlx::query_as(replanned(&self.0.load_many)).bind(ids);
        let sessions: Vec<LiveSession> = sessions.fetch_all(connection).await?;
        Ok(ids.iter().map(|id| sessions.iter().find(|session| session.0 == *id).cloned()).collect())
    }
}

/// Resets the idle timers of sessions.
pub(crate) struct Touch(pub Arc<Sql>);

impl Statement for Touch {
    type Item = SessionId;
    type Output = ();
    // No visitor waits for this statement, and concurrent requests often belong to the same session.
    const DELAY: Duration = Duration::from_millis(10);

    async fn run(&self, connection: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<()>> {
        match sqlx::query(replanned(&self.0.touch)).bind(ids).execute(connection).await {
            // The session's row is locked. A later request will try again.
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some("55P03") && ids.iter().all(|id| *id == ids[0]) => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(vec![(); ids.len()])
    }
}

/// Inserts new sessions.
pub(crate) struct Save<O>(pub Arc<Sql>, pub PhantomData<fn() -> O>);

/// A session to insert.
#[derive(PartialEq)]
pub(crate) struct NewSession<O> {
    pub id: SessionId,
    pub state: String,
    pub owner: Option<O>,
    pub lifetime: Lifetime,
    pub remembered: bool,
}

impl<O: Owner> NewSession<O> {
    /// Returns this insert statement with the session's values, in the order of its parameters.
    pub fn insert(&self, sql: &str) -> Query<'_, Postgres, PgArguments> {
        let insert = sqlx::query(replanned(sql)).bind(self.id).bind(&self.state).bind(self.owner.clone());
        let Lifetime { idle, max_age } = self.lifetime;
        insert.bind(seconds(idle)).bind(seconds(max_age)).bind(self.remembered)
    }
}

/// How long a session lasts.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    pub idle: Duration,
    pub max_age: Duration,
}

/// Converts a duration to seconds: at least one, and at most 68 years, which is the column's largest value.
pub(crate) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)
}

impl<O: Owner> Statement for Save<O> {
    type Item = NewSession<O>;
    type Output = ();

    async fn run(&self, connection: &mut PgConnection, sessions: &[NewSession<O>]) -> sqlx::Result<Vec<()>> {
        // As in `Load`, one row is faster without arrays.
        if let [session] = sessions {
            session.insert(&self.0.save).execute(connection).await?;
            return Ok(vec![()]);
        }
        let values = sessions.iter().map(|new| (new.id, new.state.as_str(), new.owner.clone()));
        let (ids, states, owners): (Vec<_>, Vec<_>, Vec<_>) = values.collect();
        let idle = sessions.iter().map(|new| seconds(new.lifetime.idle)).collect::<Vec<_>>();
        let max_age = sessions.iter().map(|new| seconds(new.lifetime.max_age)).collect::<Vec<_>>();
        let remembered = sessions.iter().map(|new| new.remembered).collect::<Vec<_>>();
        let insert = sqlx::query(replanned(&self.0.save_many)).bind(ids).bind(states).bind(owners);
        insert.bind(idle).bind(max_age).bind(remembered).execute(connection).await?;
        Ok(vec![(); sessions.len()])
    }
}
