//! The statements that concurrent requests share through a [`sqlx_batcher::Batcher`].

use std::{collections::HashSet, marker::PhantomData, sync::Arc, time::Duration};

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

    async fn run(
        &self,
        connection: &mut PgConnection,
        ids: &[SessionId],
    ) -> sqlx::Result<Vec<Option<LiveSession>>> {
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

    /// If another transaction has locked a row, runs a separate statement for each half, and skips the locked row.
    async fn run(&self, connection: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<()>> {
        let all: Vec<_> = ids.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        let mut parts = vec![&all[..]];
        while let Some(part) = parts.pop() {
            let touch = match part {
                [id] => sqlx::query(replanned(&self.0.touch)).bind(id),
                ids => sqlx::query(replanned(&self.0.touch_many)).bind(ids),
            };
            match touch.execute(&mut *connection).await {
                Err(error) if is_locked(&error) && part.len() > 1 => {
                    parts.extend(<[_; 2]>::from(part.split_at(part.len() / 2)));
                }
                Err(error) if !is_locked(&error) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(vec![(); ids.len()])
    }
}

/// Returns whether another transaction has locked the row (`lock_not_available`).
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
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
    /// Binds the values in the order of the statements' parameters.
    pub fn bind<'q>(&'q self, query: InsertSession<'q>) -> InsertSession<'q> {
        query
            .bind(self.id)
            .bind(&self.state)
            .bind(self.owner.clone())
            .bind(self.lifetime.idle)
            .bind(self.lifetime.max_age)
            .bind(self.remembered)
    }
}

type InsertSession<'q> = Query<'q, Postgres, PgArguments>;

/// How long a session lasts, in seconds.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    pub idle: i32,
    pub max_age: i32,
}

impl Lifetime {
    pub fn new(idle: Duration, max_age: Duration) -> Self {
        Self { idle: seconds(idle), max_age: seconds(max_age) }
    }
}

/// Converts a duration to seconds: at least one, and at most 68 years, which is the column's largest value.
pub(crate) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)
}

impl<O: Owner> Statement for Save<O> {
    type Item = NewSession<O>;
    type Output = ();

    async fn run(&self, connection: &mut PgConnection, new: &[NewSession<O>]) -> sqlx::Result<Vec<()>> {
        // As in `Load`, one row is faster without arrays.
        if let [session] = new {
            session.bind(sqlx::query(replanned(&self.0.save))).execute(connection).await?;
            return Ok(vec![()]);
        }
        sqlx::query(replanned(&self.0.save_many))
            .bind(new.iter().map(|session| session.id).collect::<Vec<_>>())
            .bind(new.iter().map(|session| session.state.as_str()).collect::<Vec<_>>())
            .bind(new.iter().map(|session| session.owner.clone()).collect::<Vec<_>>())
            .bind(new.iter().map(|session| session.lifetime.idle).collect::<Vec<_>>())
            .bind(new.iter().map(|session| session.lifetime.max_age).collect::<Vec<_>>())
            .bind(new.iter().map(|session| session.remembered).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(vec![(); new.len()])
    }
}
