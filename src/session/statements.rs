//! The two statements of the session store that every visit needs, for many visits at once: [`Load`] and [`Save`].

use sqlx::{PgConnection, postgres::types::PgInterval};
use uuid::Uuid;

use super::{id::SessionId, rotation};
use crate::batch::Statement;

/// Reads the states of live sessions, and moves their idle clocks.
pub(super) struct Load {
    pub idle_timeout: PgInterval,
    pub max_age: PgInterval,
}

impl Statement for Load {
    type Item = SessionId;
    type Output = Option<String>;
    const IDEMPOTENT: bool = true;

    async fn run(
        &self,
        connection: &mut PgConnection,
        ids: &[SessionId],
    ) -> sqlx::Result<Vec<Option<String>>> {
        // A row is read by the key that it has, or by the one that it had until a moment ago. `limit 1` looks for the
        // second only where the first is not there.
        //
        // The idle clock moves in the statement that reads, and only when it is at least a minute behind: until then the
        // update finds no row, and a statement that writes nothing costs no commit record. A row that somebody else is
        // writing keeps its clock: no visit waits for that.
        //
        // Arrays, and no joins: of two tables to join PostgreSQL may choose to read either whole.
        let rows = sqlx::query!(
            r#"
            with live as (
                select
                    asked.position,
                    found.id,
                    found.state,
                    found.expires_at,
                    least(now() + $2::interval, found.created_at + $3::interval) as next_expires_at
                from unnest($1::bytea[]) with ordinality as asked (id, position)
                cross join lateral (
                    select id, state, created_at, expires_at
                    from sessions
                    where id = asked.id
                    union all
                    select id, state, created_at, expires_at
                    from sessions
                    where previous_id = asked.id
                    and rotated_at > now() - $4::interval
                    limit 1
                ) as found
                where found.expires_at > now()
                and found.created_at + $3::interval > now()
            ), touched as (
                update sessions
                set expires_at = least(now() + $2::interval, created_at + $3::interval)
                where id = any(array(
                    select id
                    from sessions
                    where id = any(array(
                        select id
                        from live
                        where expires_at < next_expires_at - least(interval '1 minute', $2::interval / 2)
                    ))
                    for update skip locked
                ))
            )
            select position as "position!", state::text as "state!"
            from live
            "#,
            ids.iter().map(|id| &id.0[..]).collect::<Vec<_>>() as _,
            self.idle_timeout as _,
            self.max_age as _,
            rotation::GRACE as _,
        )
        .fetch_all(connection)
        .await?;
        let mut states = vec![None; ids.len()];
        for row in rows {
            // SQL counts from 1.
            states[row.position as usize - 1] = Some(row.state);
        }
        Ok(states)
    }
}

/// A session to be.
pub(super) struct NewSession {
    pub id: SessionId,
    pub state: String,
    pub ttl: PgInterval,
    /// Whom the state names.
    pub user: Option<Uuid>,
}

/// Inserts new sessions, and with each the user whom it names: a first visit is one statement.
pub(super) struct Save {
    pub max_age: PgInterval,
}

impl Statement for Save {
    type Item = NewSession;
    type Output = ();
    const IDEMPOTENT: bool = false;

    async fn run(&self, connection: &mut PgConnection, sessions: &[NewSession]) -> sqlx::Result<Vec<()>> {
        // No `on conflict` for the session: two equal keys would be a broken random generator, which must not open
        // another's session. A user who is there already stays as they are. No visit of a new one can come between:
        // nobody knows of them before the session is committed, and the row with it.
        let mut users: Vec<Uuid> = sessions.iter().filter_map(|session| session.user).collect();
        users.sort_unstable();
        sqlx::query!(
            "
            with new_users as (
                insert into users (id)
                select unnest($5::uuid[])
                on conflict (id) do nothing
            )
            insert into sessions (id, state, expires_at)
            select id, state::json, now() + least(ttl, $4::interval)
            from unnest($1::bytea[], $2::text[], $3::interval[]) as new (id, state, ttl)
            ",
            sessions.iter().map(|session| &session.id.0[..]).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.state.as_str()).collect::<Vec<_>>() as _,
            sessions.iter().map(|session| session.ttl).collect::<Vec<_>>() as _,
            self.max_age as _,
            &users,
        )
        .execute(connection)
        .await?;
        Ok(sessions.iter().map(|_| ()).collect())
    }
}
