//! The store and its settings.

use std::{fmt, io, marker::PhantomData, sync::Arc, time::Duration};

use sqlx::{PgPool, Postgres, TypeInfo, pool::PoolConnection, postgres::PgArguments, query::Query};
use sqlx_batcher::{Batcher, DEADLINE, acquire};
use tokio::time::{error::Elapsed, timeout};
use uuid::Uuid;

use crate::statements::{Lifetime, Load, Save, Touch};
use crate::{InvalidTable, SessionId, owner::Owner, sql::Sql, table};

/// A backend for [`actix_session::SessionMiddleware`] that stores sessions in PostgreSQL.
///
/// Create one store, and give each worker a clone. Clones share their connections. `O` is the type of account IDs.
///
/// | middleware call | guarantee |
/// | --- | --- |
/// | `save` | Inserts a row with a new random key. Never overwrites a row. |
/// | `load` | Returns `None` for unknown, expired, ended, malformed and unreadable sessions. Resets the idle timer in the background, at most once a minute. |
/// | `update` | Updates only live sessions, so a logout is final. After `rotate` or `log_in`, also gives the session a new key. |
/// | `update_ttl` | Never shortens a session's lifetime or brings back an ended session. Changes the expiry at most once a minute. |
/// | `delete` | Returns once the row is deleted. Deleting it again is not an error. |
///
/// A database failure is always an error, never an empty session.
#[derive(Clone)]
#[must_use]
pub struct PgSessionStore<O: Owner = Uuid> {
    pub(crate) pool: PgPool,
    /// The table's name in SQL.
    table: String,
    pub(crate) max_age: Duration,
    /// The limits for ordinary sessions, and those for remembered ones.
    pub(crate) limits: [Option<Lifetime>; 2],
    pub(crate) sql: Arc<Sql>,
    pub(crate) loads: Batcher<Load>,
    pub(crate) saves: Batcher<Save<O>>,
    pub(crate) touches: Batcher<Touch>,
}

impl PgSessionStore {
    /// Creates a store for the `sessions` table. When it is used, it opens up to three connections in addition to the
    /// pool's, for the statements that concurrent requests share.
    ///
    /// A session lasts at most eight hours. It also expires if it is idle for the time to live of
    /// [`actix_session::SessionMiddleware`], which is one day unless you set its `session_lifecycle`.
    pub fn new(pool: PgPool) -> Self {
        Self::with(pool, "sessions".to_owned(), Duration::from_secs(8 * 60 * 60), [None; 2])
    }
}

impl<O: Owner> PgSessionStore<O> {
    fn with(pool: PgPool, table: String, max_age: Duration, limits: [Option<Lifetime>; 2]) -> Self {
        let options = pool.connect_options();
        let sql = Arc::new(Sql::new(&table, O::type_info().name()));
        Self {
            loads: Batcher::new(&options, Load(Arc::clone(&sql))),
            saves: Batcher::new(&options, Save(Arc::clone(&sql), PhantomData)),
            touches: Batcher::new(&options, Touch(Arc::clone(&sql))),
            pool,
            table,
            max_age,
            limits,
            sql,
        }
    }

    /// Sets the type that identifies an account. The `owner` column has the corresponding SQL type.
    pub fn owner<P: Owner>(self) -> PgSessionStore<P> {
        PgSessionStore::with(self.pool, self.table, self.max_age, self.limits)
    }

    /// Sets the maximum lifetime of new sessions, regardless of activity. The limit is 68 years.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Makes [`sweep_every`](Self::sweep_every) shorten ordinary sessions that exceed these limits, because they started
    /// with longer ones or while the database's clock was ahead. Pass your current settings. The search reads the whole
    /// table, so each replica spends at most 1% of its time on it.
    pub fn limits(self, idle: Duration, max_age: Duration) -> Self {
        Self { limits: [Some(Lifetime { idle, max_age }), self.limits[1]], ..self }
    }

    /// Like [`limits`](Self::limits), but for [remembered](crate::LogIn::remember) sessions.
    pub fn remembered_limits(self, idle: Duration, max_age: Duration) -> Self {
        Self { limits: [self.limits[0], Some(Lifetime { idle, max_age })], ..self }
    }

    /// Sets the table, such as `sessions` or `schema.sessions`. The schema must exist.
    ///
    /// # Errors
    /// Returns an error unless both parts consist of lowercase letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, InvalidTable> {
        Ok(Self::with(self.pool, table::parse(name)?, self.max_age, self.limits))
    }

    /// Creates the table if it doesn't exist, and never changes an existing one. Replicas can call it concurrently.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached or refuses to create the table.
    pub async fn migrate(&self) -> sqlx::Result<()> {
        table::create(&self.table, O::type_info().name(), &mut *acquire(&self.pool).await?).await
    }

    /// Resets a session's idle timer in the background. If that fails, the next request tries again.
    pub(crate) fn touch(&self, id: SessionId) {
        let touches = self.touches.clone();
        tokio::spawn(async move {
            if let Err(error) = touches.call(id).await {
                tracing::warn!(target: crate::TARGET, %error, "could not reset the idle timer of a session");
            }
        });
    }

    /// Runs a statement that isn't shared, on a connection of the pool.
    pub(crate) async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(PoolConnection<Postgres>) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let result = async { statement(acquire(&self.pool).await?).await };
        timeout(DEADLINE, result).await.unwrap_or_else(timed_out)
    }

    /// Runs a statement that isn't shared, and returns how many rows it changed.
    pub(crate) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> sqlx::Result<u64> {
        Ok(self.run(async |mut connection| query.execute(&mut *connection).await).await?.rows_affected())
    }
}

impl<O: Owner> fmt::Debug for PgSessionStore<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgSessionStore").field("table", &self.table).finish_non_exhaustive()
    }
}

pub(crate) fn timed_out<T>(_: Elapsed) -> sqlx::Result<T> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "the database did not respond in time").into())
}
