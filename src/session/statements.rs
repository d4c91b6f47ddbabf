//! The statements that concurrent requests share through a [`batcher::Batcher`].

use std::collections::HashMap;

use batcher::Statement;
use sqlx::{PgConnection, postgres::types::PgInterval};
use uuid::Uuid;

use super::id::SessionId;

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
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

impl Statement for Load {
    type Item = SessionId;
    type Output = Option<LiveSession>;

    async fn run(
        &self,
        connection: &mut PgConnection,
        ids: &[SessionId],
    ) -> sqlx::Result<Vec<Option<LiveSession>>> {
        if let [id] = ids {
            return Ok(vec![self.load(connection, *id).await?]);
        }
        let sessions = sqlx::query_as!(
            LiveSession,
            r#"
            select
                id as "id: SessionId",
                state::text as "state!",
                expires_at < least(now() + $2::interval, created_at + $3::interval)
                    - least(interval '1 minute', $2::interval / 2) as "is_due!"
            from sessions
            where id = any($1)
            and expires_at > now()
            and created_at + $3::interval > now()
            "#,
            ids as _,
            self.0.idle as _,
            self.0.max_age as _,
        )
        .fetch_all(connection)
        .await?;
        let found: HashMap<_, _> = sessions.into_iter().map(|session| (session.id, session)).collect();
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }
}

impl Load {
    /// Reads a single session. PostgreSQL would plan the statement for many at each call: 21 of its 25 µs.
    async fn load(&self, connection: &mut PgConnection, id: SessionId) -> sqlx::Result<Option<LiveSession>> {
        sqlx::query_as!(
            LiveSession,
            r#"
            select
                id as "id: SessionId",
                state::text as "state!",
                expires_at < least(now() + $2::interval, created_at + $3::interval)
                    - least(interval '1 minute', $2::interval / 2) as "is_due!"
            from sessions
            where id = $1
            and expires_at > now()
            and created_at + $3::interval > now()
            "#,
            &id.0,
            self.0.idle as _,
            self.0.max_age as _,
        )
        .fetch_optional(connection)
        .await
    }
}

/// Resets the idle timers of sessions.
pub(super) struct Touch(pub Timeouts);

impl Statement for Touch {
    type Item = SessionId;
    type Output = ();

    async fn run(&self, connection: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<()>> {
        // A row that another statement is writing keeps its timer: no batch waits for it, and no two can deadlock.
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
        // No `on conflict`: two equal keys would mean a broken random generator, and must not share a session.
        sqlx::query!(
            "
            insert into sessions (id, state, owner, expires_at)
            select id, state::json, owner, now() + least(ttl, $5::interval)
            from unnest($1::bytea[], $2::text[], $3::uuid[], $4::interval[]) as new (id, state, owner, ttl)
            ",
            sessions.iter().map(|session| session.id).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.state.as_str()).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.owner).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.ttl).collect::<Vec<_>>() as _,
            self.0.max_age as _,
        )
        .execute(connection)
        .await?;
        Ok(vec![(); sessions.len()])
    }
}
