//! The statements that concurrent requests share through a [`sqlx_batcher::Batcher`].

use std::{collections::HashMap, time::Duration};

use sqlx::{Execute, PgConnection, postgres::types::PgInterval};
use sqlx_batcher::Statement;
use uuid::Uuid;

use super::id::SessionId;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeouts {
    pub idle: PgInterval,
    pub max_age: PgInterval,
}

/// Reads live sessions.
pub(super) struct Load(pub Timeouts);

/// A live session.
#[derive(Clone)]
pub(super) struct LiveSession {
    id: SessionId,
    pub state: String,
    /// Whether the idle timer is at least a minute old (half the timeout, if that is less) and has to be reset.
    pub is_due: bool,
}

/// Selects the live sessions that meet a condition.
macro_rules! live_sessions {
    ($timeouts:expr, $condition:literal, $parameter:expr) => {
        sqlx::query_as!(
            LiveSession,
            r#"
            select
                id as "id: SessionId",
                state::text as "state!",
                expires_at < least(now() + $2::interval, created_at + $3::interval)
                    - least(interval '1 minute', $2::interval / 2) as "is_due!"
            from sessions
            where expires_at > now()
            and created_at + $3::interval > now()
            and "#
                + $condition,
            $parameter as _,
            $timeouts.idle as _,
            $timeouts.max_age as _,
        )
    };
}

/// Returns the SQL that finds a session, for the page that explains it.
pub fn load_sql() -> String {
    live_sessions!(Timeouts::default(), "id = $1", SessionId([0; 32])).sql().as_str().to_owned()
}

impl Statement for Load {
    type Item = SessionId;
    type Output = Option<LiveSession>;

    async fn run(
        &self,
        connection: &mut PgConnection,
        ids: &[SessionId],
    ) -> sqlx::Result<Vec<Option<LiveSession>>> {
        // Avoids the array statement, which PostgreSQL plans at each call. That takes 21 of its 25 µs.
        if let [id] = ids {
            let session = live_sessions!(self.0, "id = $1", *id);
            return Ok(vec![session.fetch_optional(connection).await?]);
        }
        let sessions = live_sessions!(self.0, "id = any($1)", ids).fetch_all(connection).await?;
        let found: HashMap<_, _> = sessions.into_iter().map(|session| (session.id, session)).collect();
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }
}

/// Resets the idle timers of sessions.
pub(super) struct Touch(pub Timeouts);

impl Statement for Touch {
    type Item = SessionId;
    type Output = ();
    // No visitor waits for it, but each commit slows down other commits.
    const DELAY: Duration = Duration::from_millis(10);

    async fn run(&self, connection: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<()>> {
        // Skips rows that another statement is writing, so that batches never wait for each other or deadlock.
        sqlx::query!(
            "
            update sessions
            set expires_at = least(now() + $2::interval, created_at + $3::interval)
            where id = any(array(
                select id
                from sessions
                where id = any($1)
                and expires_at > now()
                and expires_at < least(now() + $2::interval, created_at + $3::interval)
                    - least(interval '1 minute', $2::interval / 2)
                for update skip locked
            ))
            ",
            ids as _,
            self.0.idle as _,
            self.0.max_age as _,
        )
        .execute(connection)
        .await?;
        Ok(vec![(); ids.len()])
    }
}

/// Inserts new sessions.
pub(super) struct Save(pub Timeouts);

/// A session to insert.
#[derive(PartialEq)]
pub(super) struct NewSession {
    pub id: SessionId,
    pub state: String,
    pub owner: Option<Uuid>,
    pub ttl: PgInterval,
}

impl Statement for Save {
    type Item = NewSession;
    type Output = ();

    async fn run(&self, connection: &mut PgConnection, sessions: &[NewSession]) -> sqlx::Result<Vec<()>> {
        // No `on conflict`: equal keys would mean a broken random number generator, and must not share a session.
        sqlx::query!(
            "
            insert into sessions (id, state, owner, expires_at)
            select id, state::json, owner, now() + least(ttl, $5::interval, $6::interval)
            from unnest($1::bytea[], $2::text[], $3::uuid[], $4::interval[]) as new (id, state, owner, ttl)
            ",
            sessions.iter().map(|session| session.id).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.state.as_str()).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.owner).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.ttl).collect::<Vec<_>>() as _,
            self.0.idle as _,
            self.0.max_age as _,
        )
        .execute(connection)
        .await?;
        Ok(vec![(); sessions.len()])
    }
}
