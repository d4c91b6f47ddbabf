//! Whether the app can serve pages: the schema is up to date, the app isn't stopping, and the database responds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io::ErrorKind, time::Duration};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use sqlx_batcher::check;
use tokio::time::{Instant, timeout};
use tokio::{runtime::Handle, sync::Mutex};

use crate::database::{CONNECT_TIMEOUT, silent};
use crate::limits::READY_TIMEOUT;

/// How long a result is cached, so that frequent checks don't add load on the database.
const KEPT: Duration = Duration::from_millis(200);

/// How long the connection is used. The limit is the same as for the pool's connections.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Whether the app can serve pages. Shared by all workers.
pub struct Readiness {
    /// Whether the schema is up to date.
    pub migrated: AtomicBool,
    /// Whether the process has received a signal to stop.
    pub stopping: AtomicBool,
    runtime: Handle,
    database: Arc<Mutex<Database>>,
}

/// A connection that only checks use, so that a check never waits for requests.
struct Database {
    options: PgConnectOptions,
    /// The connection, and when it was opened.
    connection: Option<(PgConnection, Instant)>,
    /// The last problem.
    problem: Option<String>,
    /// When the database was last checked.
    checked: Option<Instant>,
}

impl Readiness {
    /// Connects when the first check arrives, in the current runtime.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn new(options: &PgConnectOptions) -> Self {
        let database = Database { options: options.clone(), connection: None, problem: None, checked: None };
        Self {
            migrated: AtomicBool::default(),
            stopping: AtomicBool::default(),
            runtime: Handle::current(),
            database: Arc::new(Mutex::new(database)),
        }
    }

    /// Returns whether the schema is up to date.
    pub fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Relaxed)
    }

    /// Returns whether the app is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Returns whether the app can serve a visit. If it can't, logs the reason each time it changes. If the database is
    /// silent, that takes a few seconds.
    pub async fn check(&self) -> bool {
        if !self.is_migrated() || self.is_stopping() {
            return false;
        }
        let (database, begin) = (Arc::clone(&self.database), Instant::now());
        let result = async {
            let mut database = database.lock_owned().await;
            // A separate task, because connecting to a distant server takes longer than this check can wait.
            self.runtime.spawn(async move { database.is_ready(begin).await }).await.unwrap_or(false)
        };
        timeout(READY_TIMEOUT, result).await.unwrap_or(false)
    }
}

impl Database {
    /// Queries the database, unless a result that is recent at `begin` is known.
    async fn is_ready(&mut self, begin: Instant) -> bool {
        if self.checked.is_none_or(|checked| checked + KEPT <= begin) {
            let problem = match self.check().await {
                Err(error) => Some(error.to_string()),
                Ok(()) if begin.elapsed() < READY_TIMEOUT => None,
                Ok(()) => Some(format!("the database did not respond within {READY_TIMEOUT:?}")),
            };
            match &problem {
                _ if self.problem == problem => {}
                Some(problem) => tracing::warn!(%problem, "not ready"),
                None => tracing::info!("ready again"),
            }
            (self.problem, self.checked) = (problem, Some(Instant::now()));
        }
        self.problem.is_none()
    }

    async fn check(&mut self) -> sqlx::Result<()> {
        // After a while, the host name may resolve to a different server.
        let mut kept = self.connection.take().filter(|(_, since)| since.elapsed() < LIFETIME);
        if let Some((open, _)) = &mut kept
            && check(open).await.is_err()
        {
            kept = None;
        }
        let (mut open, since) = match kept {
            Some(kept) => kept,
            None => {
                let opened = timeout(CONNECT_TIMEOUT, self.options.connect()).await;
                (opened.map_err(|_| silent())??, Instant::now())
            }
        };
        let checked = timeout(CONNECT_TIMEOUT, check_database(&mut open)).await;
        checked.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
        self.connection = Some((open, since));
        Ok(())
    }
}

/// Fails if a table or a column is missing, if a table is locked, if this role isn't allowed to write to it,
/// or if the server is a standby. Also fails if a pooler drops the app's settings.
async fn check_database(connection: &mut PgConnection) -> sqlx::Result<()> {
    let check = sqlx::query!(
        r#"
        select
            current_setting('statement_timeout')::interval between '1 ms' and '2 s' as "is_limited!",
            current_setting('transaction_isolation') = 'read committed' as "is_read_committed!",
            current_setting('transaction_read_only') = 'off' as "is_writable!",
            has_table_privilege('sessions', 'insert')
                and has_table_privilege('sessions', 'update')
                and has_table_privilege('visitors', 'insert') -- demo
                and has_table_privilege('visitors', 'update') -- demo
                and has_table_privilege('sessions', 'delete') as "may_write!",
            exists (select id, visits, last_visit_at, keep_until from visitors) as "has_visitors!", -- demo
            exists (select id, email, password_hash, epoch, failures, disabled_at from accounts) as "has_accounts!", -- accounts
            exists (
                select id, state, owner, created_at, expires_at, expires_hour, idle_seconds, ends_at, remembered
                from sessions
            ) as "has_sessions!"
        "#
    );
    let check = check.fetch_one(connection).await?;
    let problem = if !check.is_writable {
        "the server is read-only; is it a standby?"
    } else if !check.may_write {
        "the role may not write to the tables"
    } else if !check.is_limited {
        "statement_timeout must be 2s or less; set it for the role"
    } else if !check.is_read_committed {
        "default_transaction_isolation must be read committed; set it for the role"
    } else {
        return Ok(());
    };
    Err(sqlx::Error::Configuration(problem.into()))
}
