#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod connection;
mod errors;
mod worker;

use std::sync::{Arc, OnceLock, atomic::Ordering};
use std::{fmt, time::Duration};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use batch::Caller;
pub use connection::{ACQUIRE_TIMEOUT, acquire, check};
pub use errors::is_unavailable;
use worker::{Config, Worker};

/// Maximum number of callers that can wait for one batcher. Further calls fail immediately with [`Error::Overloaded`].
pub const QUEUE_SIZE: usize = 4096;

/// Maximum number of items in one statement. Further callers wait for the next statement.
pub const MAX_BATCH: usize = 128;

/// Time limit for a call: long enough to connect, and short enough for an error page within two seconds.
pub const DEADLINE: Duration = Duration::from_millis(1_600);

/// Idle time after which a connection is checked before use, because a firewall or a restart may have closed it.
pub const CHECK_AFTER: Duration = Duration::from_secs(1);

/// One SQL statement that handles many items at once.
pub trait Statement: Send + Sync + 'static {
    /// The input of one call.
    type Item: PartialEq + Send + Sync + 'static;
    /// The result of one call.
    type Output: Send + 'static;

    /// How long to wait for more calls, unless [`MAX_BATCH`] calls are waiting. Set it for writes that nobody waits for.
    const DELAY: Duration = Duration::ZERO;

    /// Runs one statement for all `items` and returns one output for each item, in the same order.
    ///
    /// It must be a single statement, because the batcher runs it again for some of the items if PostgreSQL refuses it.
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
    /// [`Statement::run`] panicked or returned the wrong number of outputs, or its runtime has stopped.
    #[error("the statement panicked")]
    Panicked,
    /// [`QUEUE_SIZE`] callers are already waiting.
    #[error("too many requests are waiting for the database")]
    Overloaded,
}

/// Runs a [`Statement`] for many callers. Clones share one queue and one connection.
pub struct Batcher<S: Statement> {
    config: Arc<Config<S>>,
    queue: Arc<OnceLock<mpsc::Sender<batch::Job<S>>>>,
}

impl<S: Statement> Batcher<S> {
    /// Creates a batcher, even outside a Tokio runtime. The first call starts its task and opens its connection.
    pub fn new(options: &PgConnectOptions, statement: S) -> Self {
        let config = Config { options: options.clone(), statement, is_down: Default::default() };
        Self { config: Arc::new(config), queue: Arc::default() }
    }

    /// Runs the statement for `item`, together with the items of other callers, and waits for the result. If the
    /// future is dropped while its item is in the queue, the item isn't sent.
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
            tokio::spawn(Worker::run(Arc::clone(&self.config), jobs));
            queue
        });
        let (reply, answer) = oneshot::channel();
        let caller = Caller { reply, arrival: Instant::now() };
        // If the worker has stopped, this drops `reply`.
        if queue.try_send((item, caller)).is_err() && !queue.is_closed() {
            return Err(Error::Overloaded);
        }
        timeout(DEADLINE, answer).await.map_err(|_| Error::TimedOut)?.unwrap_or(Err(Error::Panicked))
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
