//! The `visitors` table: how often each visitor has visited the welcome page. The session's row records the first
//! visit, and the second one creates a row here. A count in the session would lose visits, because two tabs that load
//! at the same time would write the same count. Here, one statement adds 1.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sqlx::{PgConnection, PgPool, postgres::types::PgInterval};
use sqlx_batcher::{Batcher, Statement};
use uuid::Uuid;

/// Counts visits. Concurrent visits share one statement and one commit.
pub struct VisitCounter(Batcher<CountVisits>);

impl VisitCounter {
    /// Creates a counter for sessions that last at most `max_age`. Visitors are kept at least that long.
    pub fn new(pool: &PgPool, max_age: Duration) -> Self {
        Self(Batcher::new(&pool.connect_options(), CountVisits(max_age)))
    }

    /// Counts another visit, and returns the new count once it is committed. If this fails, the visit may have been
    /// counted anyway, unless PostgreSQL refused the statement.
    pub async fn count(&self, visitor: Uuid) -> Result<i64, sqlx_batcher::Error> {
        self.0.call(visitor).await
    }
}

struct CountVisits(Duration); // Maximum lifetime of a session.

/// Adds each visitor's new visits. A new row also counts the first visit, which had no row.
pub const COUNT_SQL: &str = include_str!("visitors.sql");

impl Statement for CountVisits {
    type Item = Uuid;
    type Output = i64;

    async fn run(&self, connection: &mut PgConnection, visitors: &[Uuid]) -> sqlx::Result<Vec<i64>> {
        // Sorted, so that concurrent batches lock rows in the same order and never deadlock.
        let mut added = BTreeMap::<Uuid, i64>::new();
        for visitor in visitors {
            *added.entry(*visitor).or_default() += 1;
        }
        let (ids, counts): (Vec<Uuid>, Vec<i64>) = added.clone().into_iter().unzip();
        // One hour more, in case a request is still running when the session ends.
        let kept = PgInterval::try_from(self.0 + Duration::from_hours(1)).map_err(sqlx::Error::Encode)?;
        let rows = sqlx::query_file!("src/visitors.sql", &ids, &counts, kept).fetch_all(connection).await?;
        let totals: HashMap<Uuid, i64> = rows.into_iter().map(|row| (row.id, row.visits)).collect();
        // For example, a visitor with 3 visits in this batch and 7 in total gets 5, 6 and 7.
        let counts = visitors.iter().map(|visitor| {
            let left = added.get_mut(visitor)?;
            *left -= 1;
            Some(totals.get(visitor)? - *left)
        });
        counts.collect::<Option<_>>().ok_or(sqlx::Error::RowNotFound)
    }
}
