//! Whether the app can serve pages: the schema is up to date, the app isn't stopping, and the database responds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use sqlx_batcher::check;
use tokio::time::{Instant, timeout};
use tokio::{runtime::Handle, sync::Mutex};

use crate::database::{CONNECT_TIMEOUT, LIFETIME, silent};
use crate::limits::READY_TIMEOUT;

/// How long a result is cached, so that frequent checks don't add load on the database.
const KEPT: Duration = Duration::from_millis(200);

/// Whether the app can serve pages. Shared by all workers.
pub struct Readiness {
    /// Whether the schema is up to date.
    pub migrated: AtomicBool,
    /// Whether the process has received a signal to stop.
    pub stopping: AtomicBool,
    /// Runs the checks. A busy worker's runtime would delay them.
    runtime: Handle,
    database: Arc<Mutex<Database>>,
}

/// A connection that only checks use, so that a check never waits for requests.
struct Database {
    options: PgConnectOptions,
    /// The connection, and when it was opened.
    connection: Option<(PgConnection, Instant)>,
    /// The result of the last check, and when it ended.
    problem: Option<String>,
    checked: Option<Instant>,
}

impl Readiness {
    /// Connects when the first check arrives, in the current runtime.
    pub fn new(options: &PgConnectOptions) -> Self {
        let database = Database { options: options.clone(), connection: None, problem: None, checked: None };
        let database = Arc::new(Mutex::new(database));
        Self { migrated: false.into(), stopping: false.into(), runtime: Handle::current(), database }
    }

    /// Returns whether the app can serve a visit. If it can't, logs the reason each time it changes.
    pub async fn check(&self) -> bool {
        if !self.migrated.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed) {
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
    /// Queries the database, unless the last result was recent at `begin`.
    async fn is_ready(&mut self, begin: Instant) -> bool {
        if self.checked.is_none_or(|checked| checked + KEPT <= begin) {
            let checked = timeout(CONNECT_TIMEOUT, self.check()).await.unwrap_or_else(|_| Err(silent()));
            let problem = match checked {
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
        let mut kept = self.connection.take().filter(|(_, since)| since.elapsed() < LIFETIME);
        if let Some((open, _)) = &mut kept
            && check(open).await.is_err()
        {
            kept = None;
        }
        let (mut open, since) = match kept {
            Some(kept) => kept,
            None => (self.options.connect().await?, Instant::now()),
        };
        check_database(&mut open).await?;
        self.connection = Some((open, since));
        Ok(())
    }
}

/// Fails if a table is missing, locked, outdated or read-only, or if a pooler drops the app's settings.
async fn check_database(connection: &mut PgConnection) -> sqlx::Result<()> {
    let check = sqlx::query!(
        r#"
        select
            case
                when current_setting('transaction_read_only') = 'on'
                    then 'the server is read-only; is it a standby?'
                when not has_table_privilege('sessions', 'insert')
                    or not has_table_privilege('sessions', 'update')
                    or not has_table_privilege('visitors', 'insert') -- demo
                    or not has_table_privilege('visitors', 'update') -- demo
                    or not has_table_privilege('sessions', 'delete')
                    then 'the role may not write to the tables'
                when current_setting('statement_timeout')::interval not between '1 ms' and '2 s'
                    then 'statement_timeout must be 2s or less; set it for the role'
                when current_setting('transaction_isolation') <> 'read committed'
                    then 'default_transaction_isolation must be read committed; set it for the role'
            end as problem,
            exists (select id, visits, last_visit_at, keep_until from visitors) as "has_visitors!", -- demo
            exists (select id, email, password_hash, epoch, failures, disabled_at from accounts) as "has_accounts!", -- accounts
            exists (
                select id, state, owner, created_at, expires_at, expires_hour, idle_seconds, ends_at, remembered
                from sessions
            ) as "has_sessions!"
        "#
    );
    let problem = check.fetch_one(connection).await?.problem;
    problem.map_or(Ok(()), |problem| Err(sqlx::Error::Configuration(problem.into())))
}
