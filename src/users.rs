//! The table `users`: who has come how often.
//!
//! The count is not kept in the session, because a session is read as a whole and written as a whole: of two tabs at
//! once, one would lose its visit. Here one statement counts, and PostgreSQL makes the two wait for each other.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::batch::{BatchError, Batcher, Statement};

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

/// Counts visits; cheap to clone. Opens one connection of its own, on which the visits that come at the same time share
/// one statement and one commit.
#[derive(Clone, Debug)]
pub struct VisitCounter(Batcher<CountVisits>);

impl VisitCounter {
    /// Over the database of `pool`. Must be called within a Tokio runtime.
    pub fn new(pool: &PgPool) -> Self {
        Self(Batcher::spawn(&pool.connect_options(), CountVisits))
    }

    /// Counts one visit of `user`, exactly, whatever else happens at the same time; gives the new count once it is
    /// committed. A user who is not there is created.
    ///
    /// # Errors
    /// The database's. The visit may or may not have been counted then; it is not tried again.
    pub async fn record(&self, user: Uuid) -> Result<i64, BatchError> {
        self.0.call(user).await
    }
}

struct CountVisits;

impl Statement for CountVisits {
    type Item = Uuid;
    type Output = i64;
    const IDEMPOTENT: bool = false;

    async fn run(&self, connection: &mut PgConnection, users: &[Uuid]) -> sqlx::Result<Vec<i64>> {
        // A user who is here three times is counted three times, by one row: a statement can't touch a row twice. And
        // in one order, so that the batches of two replicas wait for each other and never in a circle.
        let mut visits = BTreeMap::<Uuid, i64>::new();
        for user in users {
            *visits.entry(*user).or_default() += 1;
        }
        let (ids, counts): (Vec<Uuid>, Vec<i64>) = visits.iter().unzip();
        let rows = sqlx::query!(
            "
            insert into users (id, visits)
            select id, visits
            from unnest($1::uuid[], $2::bigint[]) as visited (id, visits)
            on conflict (id) do update
            set visits = users.visits + excluded.visits,
                last_visit_at = now()
            returning id, visits
            ",
            &ids,
            &counts,
        )
        .fetch_all(connection)
        .await?;
        // The row has the last of a user's new counts; the visits of the batch get one each.
        let mut next: HashMap<Uuid, i64> =
            rows.into_iter().map(|row| (row.id, row.visits - visits[&row.id])).collect();
        let counts = users.iter().map(|user| {
            let count = next.get_mut(user).ok_or(sqlx::Error::RowNotFound)?;
            *count += 1;
            Ok(*count)
        });
        counts.collect()
    }
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

/// Deletes these users; gives how many there were. The sweep calls it when a user's session has ended, which fits
/// visitors that have one session each and nothing else: with accounts, take that call out of [`crate::session::sweep`].
///
/// # Errors
/// The database's; then none is deleted.
pub async fn delete(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
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
    // Planned each time: a plan made while the table was small may be to read it whole.
    .persistent(false)
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// How much longer than its session a user is kept, for requests still under way.
pub const KEPT_LONGER: Duration = Duration::from_secs(60 * 60);

/// Deletes up to `limit` users who came first so long ago that a session of `max_age` started then has ended, with an
/// hour to spare for requests still under way; gives how many. Not for accounts that outlive their sessions.
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
            where first_visit_at < now() - make_interval(secs => $1)
            order by first_visit_at
            limit $2
            for update skip locked
        )
        ",
        (max_age + KEPT_LONGER).as_secs_f64(),
        limit,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
