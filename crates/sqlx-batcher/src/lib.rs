#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod connection;
mod errors;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::{fmt, time::Duration};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use batch::{Caller, Job};
pub use connection::{ACQUIRE_TIMEOUT, acquire, is_alive};
pub use errors::is_unavailable;
use worker::{Config, Worker};

/// Maximum number of callers that can wait for one batcher. Further calls fail immediately with [`Error::Overloaded`].
pub const QUEUE_SIZE: usize = 4096;

/// Maximum number of items in one statement. Further callers wait for the next statement.
pub const MAX_BATCH: usize = 128;

/// Time after which a call fails with [`Error::TimedOut`].
///
/// This is long enough for a connection attempt or a stalled disk write, and short enough to show a visitor an error
/// page within two seconds.
pub const DEADLINE: Duration = Duration::from_millis(1_600);

/// Idle time after which a connection is checked before use, because a firewall or a restart may have closed
/// it. A check takes one round trip. A busy connection never needs one.
pub const CHECK_AFTER: Duration = Duration::from_secs(1);

/// Time limit for [`is_alive`]. It leaves two thirds of [`DEADLINE`] for a new connection.
pub const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// One SQL statement that handles many items at once.
pub trait Statement: Send + Sync + 'static {
    /// The input of one call.
    type Item: PartialEq + Send + Sync + 'static;
    /// The result of one call.
    type Output: Send + 'static;

    /// Time to wait for more calls before a statement is sent, unless [`MAX_BATCH`] calls are already waiting. The
    /// default is zero. Set it for writes that nobody waits for, because fewer statements mean fewer commits.
    const DELAY: Duration = Duration::ZERO;

    /// Runs one statement for all `items` and returns one output for each item, in the same order.
    ///
    /// It must be a single statement, so that it takes effect as a whole or not at all. If PostgreSQL refuses it, the
    /// batcher runs it again for each half of the items, down to a single item.
    ///
    /// # Errors
    /// Returns the error of the statement.
    fn run(
        &self,
        connection: &mut PgConnection,
        items: &[Self::Item],
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Output>>> + Send;
}

/// The reason a call failed. A write may have been committed anyway, unless PostgreSQL refused it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused the statement, can't be reached, or is read-only. Other calls may share the error.
    #[error(transparent)]
    Database(#[from] Arc<sqlx::Error>),
    /// No result arrived within [`DEADLINE`], or an earlier batch has timed out and the database still doesn't respond.
    #[error("the database did not respond in time")]
    TimedOut,
    /// [`Statement::run`] panicked, or the runtime that ran it has stopped.
    #[error("the statement panicked")]
    Panicked,
    /// [`QUEUE_SIZE`] callers are already waiting.
    #[error("too many requests are waiting for the database")]
    Overloaded,
}

/// Runs a [`Statement`] for many callers. Clones share one queue and one connection.
///
/// The first call starts a task on the current Tokio runtime, which opens the connection. When the last clone
/// is dropped, the task closes the connection and stops.
pub struct Batcher<S: Statement> {
    config: Arc<Config<S>>,
    /// Empty until the first call.
    queue: Arc<OnceLock<mpsc::Sender<Job<S>>>>,
}

impl<S: Statement> Batcher<S> {
    /// Creates a batcher. It starts its task on the first call, so you can create it outside a runtime.
    pub fn new(options: &PgConnectOptions, statement: S) -> Self {
        let config = Config { options: options.clone(), statement, is_down: AtomicBool::new(false) };
        Self { config: Arc::new(config), queue: Arc::default() }
    }

    /// Runs the statement for `item`, together with the items of other callers, and waits for the result.
    ///
    /// If the future is dropped before its batch is taken from the queue, the item is left out of the batch.
    ///
    /// # Errors
    /// Returns an [`Error`] if there is no result within [`DEADLINE`].
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub async fn call(&self, item: S::Item) -> Result<S::Output, Error> {
        if self.config.is_down.load(Ordering::Relaxed) {
            return Err(Error::TimedOut);
        }
        let queue = self.queue.get_or_init(|| {
            let (queue, jobs) = mpsc::channel(QUEUE_SIZE);
            tokio::spawn(Worker::new(Arc::clone(&self.config), jobs).run());
            queue
        });
        let (reply, answer) = oneshot::channel();
        let caller = Caller { reply, arrival: Instant::now() };
        queue.try_send(Job { item, caller }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Closed(_) => Error::Panicked,
        })?;
        match timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Panicked),
            Err(_) => Err(Error::TimedOut),
        }
    }
}

impl<S: Statement> Clone for Batcher<S> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), queue: Arc::clone(&self.queue) }
    }
}

impl<S: Statement> fmt::Debug for Batcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("is_started", &self.queue.get().is_some()).finish()
    }
}
