//! The store and its settings.

use std::{fmt, io, marker::PhantomData, sync::Arc, time::Duration};

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{FromRow, PgPool, Postgres, TypeInfo};
use sqlx_batcher::{Batcher, DEADLINE, acquire};
use tokio::time::{error::Elapsed, timeout};
use uuid::Uuid;

use crate::statements::{Lifetime, Load, Save, Touch, seconds};
use crate::{InvalidTable, SessionId, owner::Owner, sql::Sql, table::Table};

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
pub struct PgSessionStore<O: Owner = Uuid> {
    pub(crate) pool: PgPool,
    table: Table,
    pub(crate) max_age: i32,
    /// The limits for ordinary sessions, and those for [remembered](crate::LogIn::remember) ones.
    pub(crate) limits: [Option<Lifetime>; 2],
    pub(crate) sql: Arc<Sql>,
    pub(crate) loads: Batcher<Load>,
    pub(crate) saves: Batcher<Save<O>>,
    pub(crate) touches: Batcher<Touch>,
}

impl PgSessionStore {
    /// Creates a store for the `sessions` table, with a maximum session lifetime of eight hours. The store doesn't
    /// connect until it is used. It then opens up to three connections in addition to the pool's, for the statements
    /// that concurrent requests share.
    ///
    /// A session also expires if it is idle for too long. That limit is the time to live of
    /// [`SessionMiddleware`], which is one day unless you set its `session_lifecycle`.
    ///
    /// [`SessionMiddleware`]: actix_session::SessionMiddleware
    pub fn new(pool: PgPool) -> Self {
        let table = Table::parse("sessions").expect("it is an identifier");
        Self::with(pool, table, 8 * 60 * 60, [None; 2])
    }
}

impl<O: Owner> PgSessionStore<O> {
    fn with(pool: PgPool, table: Table, max_age: i32, limits: [Option<Lifetime>; 2]) -> Self {
        let options = pool.connect_options();
        let sql = Arc::new(Sql::new(&table.sql, O::type_info().name()));
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
    #[must_use]
    pub fn owner<P: Owner>(self) -> PgSessionStore<P> {
        PgSessionStore::with(self.pool, self.table, self.max_age, self.limits)
    }

    /// Sets the maximum lifetime of new sessions, regardless of activity. The limit is 68 years.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        Self { max_age: seconds(age), ..self }
    }

    /// Makes [`sweep_every`](Self::sweep_every) shorten sessions that exceed these limits. Such sessions
    /// started with longer limits, or while the database's clock was ahead. Pass your current settings.
    ///
    /// This doesn't affect [remembered](crate::LogIn::remember) sessions. The search for sessions to shorten
    /// reads the whole table, because an index would slow down every new session. So each replica searches at
    /// most once per sweep, and less often if the search takes more than 1% of the replica's time.
    #[must_use]
    pub fn limits(self, idle: Duration, max_age: Duration) -> Self {
        Self { limits: [Some(Lifetime::new(idle, max_age)), self.limits[1]], ..self }
    }

    /// Like [`limits`](Self::limits), but for [remembered](crate::LogIn::remember) sessions.
    #[must_use]
    pub fn remembered_limits(self, idle: Duration, max_age: Duration) -> Self {
        Self { limits: [self.limits[0], Some(Lifetime::new(idle, max_age))], ..self }
    }

    /// Sets the table, such as `sessions` or `schema.sessions`. The schema must exist.
    ///
    /// # Errors
    /// Returns an error unless both parts consist of lowercase letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, InvalidTable> {
        Ok(Self::with(self.pool, Table::parse(name)?, self.max_age, self.limits))
    }

    /// Creates the table and its indexes if they don't exist. Several replicas can call it at the same time.
    ///
    /// It never changes an existing table. [`MIGRATION`](crate::MIGRATION) contains the same SQL, for the
    /// `sessions` table with an owner of type `uuid`.
    ///
    /// # Errors
    /// Returns an error if the database can't be reached or refuses to create the table.
    pub async fn migrate(&self) -> sqlx::Result<()> {
        self.table.create(O::type_info().name(), &mut *acquire(&self.pool).await?).await
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

    /// Runs a statement that isn't shared, and returns how many rows it changed.
    pub(crate) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> sqlx::Result<u64> {
        let changed = async { query.execute(&mut *acquire(&self.pool).await?).await };
        timeout(DEADLINE, changed).await.unwrap_or_else(timed_out).map(|changed| changed.rows_affected())
    }

    /// Runs a statement that isn't shared, and returns its rows.
    pub(crate) async fn fetch_all<R>(
        &self,
        query: QueryAs<'_, Postgres, R, PgArguments>,
    ) -> sqlx::Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = async { query.fetch_all(&mut *acquire(&self.pool).await?).await };
        timeout(DEADLINE, rows).await.unwrap_or_else(timed_out)
    }
}

impl<O: Owner> fmt::Debug for PgSessionStore<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgSessionStore")
            .field("table", &self.table.sql)
            .field("owner", &O::type_info().name())
            .field("max_age_seconds", &self.max_age)
            .finish_non_exhaustive()
    }
}

pub(crate) fn timed_out<T>(_: Elapsed) -> sqlx::Result<T> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "the database did not respond in time").into())
}
