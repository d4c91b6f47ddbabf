//! Whether the app can serve pages, and how it stops.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long the app still accepts connections after SIGTERM. Meanwhile, load balancers see that `/health/ready` fails,
/// and every response closes its connection.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Time limit for requests that are still running after that, in whole seconds. [`crate::middleware::deadline`] and
/// [`super::REQUEST_LIMITS`] keep all requests shorter than this.
pub(super) const GRACE: Duration = Duration::from_secs(7);

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
    /// Returns whether the app can serve pages, without asking the database.
    pub fn is_ready(&self) -> bool {
        self.migrated.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Logs why the app is not ready, or that it is ready again, if this has changed.
    pub fn report(&self, problem: Option<String>) {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match &problem {
            _ if *known == problem => {}
            Some(problem) => tracing::warn!(%problem, "not ready"),
            None => tracing::info!("ready again"),
        }
        *known = problem;
    }

    /// Returns whether the app is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
