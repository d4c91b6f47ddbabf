//! Many callers, one statement: while one is on its way, those who come wait anyway, and share the next.
//!
//! It is what [DataLoader](https://github.com/graphql/dataloader) does for reads, and what group commit does inside a
//! database for writes: one round trip and one commit for many. No timer is involved. A lone caller's statement goes out
//! at once; under load, batches grow by themselves to what arrives during one statement.
//!
//! The module knows nothing of what is asked; [`Statement`] does. Each [`Batcher`] has one connection of its own, outside
//! any pool, and makes a new one when that breaks.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::database;

/// Items in one statement at most. Larger batches gain little, and everyone waits for the whole.
const BATCH: usize = 128;

/// Callers that may wait for one batcher, at most; who comes then is refused at once.
const QUEUE: usize = 4096;

/// After this a caller has an answer, if only an error.
const DEADLINE: Duration = Duration::from_secs(2);

/// A connection idle for so long is tried before it is used, so that the first caller after a restart of the database
/// does not pay for it.
const PING_AFTER: Duration = Duration::from_secs(1);

/// How long a statement waits for a row that somebody else has locked. All others in the batch wait with it.
const LOCK_TIMEOUT: &str = "500ms";

/// One statement over many items.
pub trait Statement: Send + 'static {
    /// What one caller asks.
    type Item: Send + Sync + 'static;
    /// What one caller gets.
    type Output: Send + 'static;
    /// Whether it may be sent again when nobody knows what became of it.
    const IDEMPOTENT: bool;

    /// Runs one statement for all `items`, and nothing else, so that it happens as a whole or not at all; gives an output
    /// for each, in their order.
    fn run(
        &self,
        connection: &mut PgConnection,
        items: &[Self::Item],
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Output>>> + Send;
}

/// Why a caller got nothing. A write may have been committed all the same, unless PostgreSQL itself refused it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BatchError {
    /// The database refused it or is away; shared by all whom it struck.
    #[error(transparent)]
    Database(#[from] Arc<sqlx::Error>),
    /// No answer within two seconds.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Too many callers wait already.
    #[error("too many requests wait for the database")]
    Overloaded,
}

/// The callers' end; cheap to clone. When the last one is dropped, whoever still waits is served, and the connection is
/// closed.
pub struct Batcher<S: Statement> {
    queue: mpsc::Sender<Job<S>>,
}

struct Job<S: Statement> {
    item: S::Item,
    reply: oneshot::Sender<Result<S::Output, BatchError>>,
}

impl<S: Statement + Sync> Batcher<S> {
    /// Starts a batcher, which connects when it is first called. Must be called within a Tokio runtime: the batcher runs
    /// there.
    pub fn spawn(options: &PgConnectOptions, statement: S) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]);
        tokio::spawn(Worker { options, statement, connection: None }.work(jobs));
        Self { queue }
    }

    /// Asks, and waits for the answer. A caller that goes away meanwhile harms nobody.
    ///
    /// # Errors
    /// As [`BatchError`] says, within two seconds.
    pub async fn call(&self, item: S::Item) -> Result<S::Output, BatchError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Job { item, reply }).map_err(|_| BatchError::Overloaded)?;
        match timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(BatchError::TimedOut),
        }
    }
}

impl<S: Statement> Clone for Batcher<S> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<S: Statement> fmt::Debug for Batcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("free", &self.queue.capacity()).finish()
    }
}

struct Worker<S> {
    options: PgConnectOptions,
    statement: S,
    connection: Option<(PgConnection, Instant)>,
}

impl<S: Statement + Sync> Worker<S> {
    async fn work(mut self, mut queue: mpsc::Receiver<Job<S>>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            let (items, replies): (Vec<_>, Vec<_>) =
                jobs.drain(..).filter(|job| !job.reply.is_closed()).map(|job| (job.item, job.reply)).unzip();
            if items.is_empty() {
                continue;
            }
            let results = self.answer(&items).await;
            for (reply, result) in replies.into_iter().zip(results) {
                // Nobody listens any more: nothing to do.
                let _ = reply.send(result);
            }
        }
        if let Some((connection, _)) = self.connection {
            let _ = timeout(DEADLINE, connection.close()).await;
        }
    }

    async fn answer(&mut self, items: &[S::Item]) -> Vec<Result<S::Output, BatchError>> {
        // Cut short in the middle of a statement, the connection is of no more use: it is not put back.
        match timeout(DEADLINE, self.attempts(items)).await {
            Ok(results) => results,
            Err(_) => items.iter().map(|_| Err(BatchError::TimedOut)).collect(),
        }
    }

    async fn attempts(&mut self, items: &[S::Item]) -> Vec<Result<S::Output, BatchError>> {
        let mut outcome = self.attempt(items).await;
        let lost = self.connection.is_none();
        if lost && S::IDEMPOTENT && outcome.is_err() {
            outcome = self.attempt(items).await;
        }
        match outcome {
            Ok(outputs) => outputs.into_iter().map(Ok).collect(),
            Err(error) if is_refusal(&error) => self.one_by_one(items).await,
            Err(error) => {
                let error = Arc::new(error);
                items.iter().map(|_| Err(BatchError::Database(Arc::clone(&error)))).collect()
            }
        }
    }

    /// PostgreSQL refused the statement, and nothing of it was done: an item that it can't take, a row locked for too
    /// long, a deadlock with another replica. Alone, each item but the bad one gets what it asks.
    async fn one_by_one(&mut self, items: &[S::Item]) -> Vec<Result<S::Output, BatchError>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let outputs = self.attempt(std::slice::from_ref(item)).await;
            let output = outputs.map(|mut outputs| outputs.pop().expect("an output for each item"));
            results.push(output.map_err(|error| Arc::new(error).into()));
        }
        results
    }

    async fn attempt(&mut self, items: &[S::Item]) -> sqlx::Result<Vec<S::Output>> {
        let mut connection = self.connect().await?;
        let result = self.statement.run(&mut connection, items).await;
        if result.as_ref().err().is_none_or(is_refusal) {
            self.connection = Some((connection, Instant::now()));
        }
        result
    }

    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        if let Some((mut connection, used)) = self.connection.take()
            && (used.elapsed() < PING_AFTER || database::answers(&mut connection).await)
        {
            return Ok(connection);
        }
        PgConnection::connect_with(&self.options).await
    }
}

/// Whether the statement was refused for what it is or met, and rolled back: the SQLSTATE classes of bad data (21, 22,
/// 23), of conflicts between transactions (40), of locks (55) and of limits (54). All else is trouble of the database or
/// the connection, which no second try at once would mend.
/// See [PostgreSQL's error codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "40" | "54" | "55")))
}
