//! The table `visitors`: how often each visitor has visited the welcome page. The session's row records the first
//! visit, and the second visit creates the row in `visitors`.
//!
//! The count is not part of the session, because a session is read and written as a whole. If two tabs loaded at once,
//! one would overwrite the other's visit. Here, one statement adds 1.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sqlx::{Execute, PgConnection, PgPool, postgres::types::PgInterval};
use sqlx_batcher::{Batcher, Statement, acquire};
use uuid::Uuid;

/// Counts visits. Concurrent visits share one statement and one commit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VisitCounter(Batcher<CountVisits>);

impl VisitCounter {
    /// Creates a counter for the database of `pool`.
    pub fn new(pool: &PgPool) -> Self {
        Self(Batcher::new(&pool.connect_options(), CountVisits))
    }

    /// Counts another visit by a returning visitor. Returns the new count once it is committed.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached or another transaction locks the row. Unless PostgreSQL refused
    /// the statement, the visit may have been counted anyway.
    pub async fn count(&self, visitor: Uuid) -> Result<i64, sqlx_batcher::Error> {
        self.0.call(visitor).await
    }
}

/// Adds each visitor's new visits. A new row also counts the first visit, which had no row.
///
/// The lock timeout is part of the statement because a setting of the connection would be lost behind a pooler. It is
/// longer than another replica usually holds the row.
macro_rules! count_visits {
    ($ids:expr, $counts:expr) => {
        sqlx::query!(
            "
            insert into visitors (id, visits)
            select id, 1 + added
            from unnest($1::uuid[], $2::bigint[]) as visit (id, added)
            where (select set_config('lock_timeout', '100ms', true)) is not null
            on conflict (id) do update
            set visits = visitors.visits + excluded.visits - 1,
                last_visit_at = now()
            returning id, visits
            ",
            $ids,
            $counts,
        )
    };
}

/// Returns the SQL that counts visits, for the page that explains it.
pub fn count_sql() -> String {
    count_visits!(&[], &[]).sql().as_str().to_owned()
}

struct CountVisits;

impl Statement for CountVisits {
    type Item = Uuid;
    type Output = i64;

    async fn run(&self, connection: &mut PgConnection, visitors: &[Uuid]) -> sqlx::Result<Vec<i64>> {
        // Sorted, so that concurrent batches lock rows in the same order and never deadlock.
        let mut added = BTreeMap::<Uuid, i64>::new();
        for visitor in visitors {
            *added.entry(*visitor).or_default() += 1;
        }
        let (ids, counts): (Vec<Uuid>, Vec<i64>) = added.into_iter().unzip();
        let rows = count_visits!(&ids, &counts).fetch_all(connection).await?;
        // For example, a visitor with 3 visits in this batch and 7 in total gets 5, 6 and 7.
        let mut next: HashMap<Uuid, i64> = rows.into_iter().map(|row| (row.id, row.visits)).collect();
        let mut counts = Vec::with_capacity(visitors.len());
        for visitor in visitors.iter().rev() {
            let next = next.get_mut(visitor).ok_or(sqlx::Error::RowNotFound)?;
            counts.push(*next);
            *next -= 1;
        }
        counts.reverse();
        Ok(counts)
    }
}

/// Returns a visitor's number of visits without counting another one.
///
/// # Errors
/// Returns an error if the database can't be reached.
pub async fn visits(pool: &PgPool, visitor: Uuid) -> sqlx::Result<i64> {
    let visits = sqlx::query_scalar!("select visits from visitors where id = $1", visitor);
    Ok(visits.fetch_optional(&mut *acquire(pool).await?).await?.unwrap_or(1))
}

/// How long a visitor's row is kept after the session must have ended, for requests that are still running.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// Deletes up to `limit` visitors whose rows are so old that their sessions must have ended, because a session lasts at
/// most `max_age`. Returns how many.
pub(crate) async fn delete_expired(pool: &PgPool, max_age: Duration, limit: i64) -> sqlx::Result<u64> {
    let age = PgInterval::try_from(max_age + MARGIN).map_err(sqlx::Error::Encode)?;
    let deleted = sqlx::query!(
        "
        delete from visitors
        where id = any(array(
            select id
            from visitors
            where created_at < now() - $1::interval
            order by created_at
            limit $2
            for update skip locked
        ))
        ",
        age as _,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
