//! Whether the app can serve pages: the schema is up to date, it isn't stopping, and the database answers.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use sqlx::PgPool;
use sqlx_batcher::acquire;
use tokio::time::timeout;

use crate::limits::READY_TIMEOUT;

/// Whether the app can serve pages. Shared by all workers.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Whether the schema is up to date.
    pub migrated: AtomicBool,
    /// Whether the process has received a signal to stop.
    pub stopping: AtomicBool,
    /// The last problem that was logged.
    problem: Mutex<Option<String>>,
}

impl Readiness {
    /// Returns whether the schema is up to date.
    pub fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Relaxed)
    }

    /// Returns whether the app is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Returns whether the app can serve a visit. Logs why not, each time the reason changes.
    pub async fn check(&self, pool: &PgPool) -> bool {
        if !self.is_migrated() || self.is_stopping() {
            return false;
        }
        let problem = match timeout(READY_TIMEOUT, check_database(pool)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the database did not answer within {READY_TIMEOUT:?}")),
        };
        let is_ready = problem.is_none();
        self.report(problem);
        is_ready
    }

    fn report(&self, problem: Option<String>) {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match &problem {
            _ if *known == problem => {}
            Some(problem) => tracing::warn!(%problem, "not ready"),
            None => tracing::info!("ready again"),
        }
        *known = problem;
    }
}

/// Fails if a table is missing or locked, if this role may not write to it, or if the server is a standby. Also fails
/// if statements have no time limit, because a pooler drops that setting.
async fn check_database(pool: &PgPool) -> sqlx::Result<()> {
    let check = sqlx::query!(
        r#"
        select
            current_setting('statement_timeout')::interval between '1 ms' and '2 s' as "is_limited!",
            current_setting('transaction_read_only') = 'off' as "is_writable!",
            has_table_privilege('sessions', 'insert')
                and has_table_privilege('sessions', 'update')
                and has_table_privilege('visitors', 'insert') -- demo
                and has_table_privilege('visitors', 'update') -- demo
                and has_table_privilege('sessions', 'delete') as "may_write!",
            exists (select id from visitors) as "has_visitors!", -- demo
            exists (select id from sessions) as "has_sessions!"
        "#
    );
    let check = check.fetch_one(&mut *acquire(pool).await?).await?;
    let problem = if !check.is_writable {
        "the server is read-only; is it a standby?"
    } else if !check.may_write {
        "the role may not write to the tables"
    } else if !check.is_limited {
        "statement_timeout must be 2s or less; set it for the role"
    } else {
        return Ok(());
    };
    Err(sqlx::Error::Configuration(problem.into()))
}
