//! The table `users`: who has come how often.
//!
//! The count is not kept in the session, because a session is read as a whole and written as a whole: of two tabs at
//! once, one would lose its visit. Here one statement counts, and PostgreSQL makes the two wait for each other.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// A visitor, as the table knows them.
#[derive(Clone, Debug)]
pub struct User {
    /// UUID, version 7.
    pub id: Uuid,
    /// How often they have seen the welcome page; 1 at the first visit.
    pub visits: i64,
    /// When they came first, by the database's clock.
    pub first_visit_at: OffsetDateTime,
    /// When they came last, by the database's clock.
    pub last_visit_at: OffsetDateTime,
}

/// Counts one visit of `id`, exactly, whatever else happens at the same time; gives the new count. The first visit
/// creates the user.
///
/// # Errors
/// The database's. The visit may or may not have been counted then; it is not tried again.
pub async fn record_visit(pool: &PgPool, id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "
        insert into users (id)
        values ($1)
        on conflict (id) do update
        set visits = users.visits + 1,
            last_visit_at = now()
        returning visits
        ",
        id,
    )
    .fetch_one(pool)
    .await
}

/// The user with this `id`, without counting a visit; `None` where there is none.
///
/// # Errors
/// The database's.
pub async fn find(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        "
        select id, visits, first_visit_at, last_visit_at
        from users
        where id = $1
        ",
        id,
    )
    .fetch_optional(pool)
    .await
}

/// Deletes these users; gives how many there were.
///
/// # Errors
/// The database's; then none is deleted.
pub async fn delete(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "
        delete from users
        where id in (
            select id
            from users
            where id = any($1)
            order by id
            for update skip locked
        )
        ",
        ids,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes up to `limit` users who came first so long ago that a session of `max_age` started then has ended, with an
/// hour to spare for requests still under way; gives how many.
///
/// # Errors
/// The database's; then none is deleted.
pub async fn delete_older_than(pool: &PgPool, max_age: Duration, limit: i64) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "
        delete from users
        where id in (
            select id
            from users
            where first_visit_at < now() - make_interval(secs => $1) - interval '1 hour'
            order by first_visit_at
            limit $2
            for update skip locked
        )
        ",
        max_age.as_secs_f64(),
        limit,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
