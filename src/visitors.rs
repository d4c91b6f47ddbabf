//! The `visitors` table: how often each visitor has visited the welcome page. The session's row records the first
//! visit, and the second visit creates the row in `visitors`.
//!
//! The count is not part of the session, because a session is read and written as a whole. If two tabs loaded at the
//! same time, one would overwrite the other's visit. Here, one statement adds 1.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sqlx::{PgConnection, PgPool, postgres::types::PgInterval};
use sqlx_batcher::{Batcher, Statement};
use uuid::Uuid;

/// How long a visitor's row is kept once the session can no longer be valid, in case a request is still running.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// Counts visits. Concurrent visits share one statement and one commit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VisitCounter(Batcher<CountVisits>);

impl VisitCounter {
    /// Creates a counter for the database of `pool`. A session lasts at most `max_age`, and its visitor is
    /// kept at least that long.
    pub fn new(pool: &PgPool, max_age: Duration) -> Self {
        Self(Batcher::new(&pool.connect_options(), CountVisits(max_age)))
    }

    /// Counts another visit by a returning visitor. Returns the new count once it is committed.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached, or if another transaction locks the row. Unless PostgreSQL
    /// refused the statement, the visit may have been counted anyway.
    pub async fn count(&self, visitor: Uuid) -> Result<i64, sqlx_batcher::Error> {
        self.0.call(visitor).await
    }
}

/// Adds each visitor's new visits. A new row also counts the first visit, which had no row.
pub const COUNT_SQL: &str = include_str!("visitors.sql");

struct CountVisits(Duration); // How long a session lasts at most.

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
        let kept = PgInterval::try_from(self.0 + MARGIN).map_err(sqlx::Error::Encode)?;
        let rows = sqlx::query_file!("src/visitors.sql", &ids, &counts, kept).fetch_all(connection).await?;
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
