//! Whether the app can serve pages: the schema is up to date, the app isn't stopping, and the database responds.

use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use sqlx_batcher::is_alive;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

use crate::{
    database::{CONNECT_TIMEOUT, silent},
    limits::READY_TIMEOUT,
};

/// How long a result is cached, so that frequent checks don't add load on the database.
const KEPT: Duration = Duration::from_millis(200);

/// How long the connection is used. The limit is the same as for the pool's connections.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

type Answer = Option<(Instant, Result<(), String>)>;

/// Whether the app can serve pages. Shared by all workers.
///
/// A task with its own connection queries the database, so that a check never waits for requests.
#[derive(Debug)]
pub struct Readiness {
    /// Whether the schema is up to date.
    pub migrated: AtomicBool,
    /// Whether the process has received a signal to stop.
    pub stopping: AtomicBool,
    asked: Arc<Notify>,
    answer: watch::Receiver<Answer>,
    /// The last problem that was logged.
    problem: Mutex<Option<String>>,
}

impl Readiness {
    /// Starts the task. It connects when the first check arrives, and stops when this value is dropped.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn new(options: &PgConnectOptions) -> Self {
        let asked = Arc::<Notify>::default();
        let (sender, answer) = watch::channel(None);
        tokio::spawn(ask(options.clone(), Arc::clone(&asked), sender));
        Self {
            migrated: AtomicBool::default(),
            stopping: AtomicBool::default(),
            asked,
            answer,
            problem: Mutex::default(),
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

    /// Returns whether the app can serve a visit. If it can't, logs the reason each time it changes.
    pub async fn check(&self) -> bool {
        if !self.is_migrated() || self.is_stopping() {
            return false;
        }
        let begin = Instant::now();
        let is_fresh = |answer: &Answer| answer.as_ref().is_some_and(|(at, _)| *at + KEPT > begin);
        let mut answer = self.answer.clone();
        if !is_fresh(&answer.borrow()) {
            self.asked.notify_one();
        }
        let problem = match timeout(READY_TIMEOUT, answer.wait_for(is_fresh)).await {
            Ok(Ok(answer)) => answer.as_ref().and_then(|(_, result)| result.clone().err()),
            // A known problem is more specific.
            Ok(Err(_)) | Err(_) => self
                .known_problem()
                .or_else(|| Some(format!("the database did not respond within {READY_TIMEOUT:?}"))),
        };
        let is_ready = problem.is_none();
        self.report(problem);
        is_ready
    }

    fn known_problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

/// Queries the database whenever a check needs a new result.
async fn ask(options: PgConnectOptions, asked: Arc<Notify>, sender: watch::Sender<Answer>) {
    let (mut connection, mut since) = (None, Instant::now());
    loop {
        tokio::select! {
            () = asked.notified() => {}
            () = sender.closed() => return,
        }
        if since.elapsed() > LIFETIME {
            // The host name may now resolve to a different server.
            (connection, since) = (None, Instant::now());
        }
        let result = check_database(&options, &mut connection).await;
        sender.send_replace(Some((Instant::now(), result.map_err(|error| error.to_string()))));
    }
}

/// Fails if a table or a column is missing, if a table is locked, if this role isn't allowed to write to it,
/// or if the server is a standby. Also fails if a pooler drops the app's settings.
async fn check_database(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
) -> sqlx::Result<()> {
    // The connection may have been closed since the last check.
    if let Some(open) = connection
        && !is_alive(open).await
    {
        *connection = None;
    }
    let mut open = match connection.take() {
        Some(open) => open,
        None => match timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(opened) => opened?,
            Err(_) => return Err(silent()),
        },
    };
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
    let check = timeout(CONNECT_TIMEOUT, check.fetch_one(&mut open)).await;
    let check = check.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    let problem = if !check.is_writable {
        "the server is read-only; is it a standby?"
    } else if !check.may_write {
        "the role may not write to the tables"
    } else if !check.is_limited {
        "statement_timeout must be 2s or less; set it for the role"
    } else if !check.is_read_committed {
        "default_transaction_isolation must be read committed; set it for the role"
    } else {
        *connection = Some(open);
        return Ok(());
    };
    Err(sqlx::Error::Configuration(problem.into()))
}
