//! Many callers, one statement: while one is on its way, those who come wait anyway, and share the next.
//!
//! It is what [DataLoader](https://github.com/graphql/dataloader) does for reads, and what group commit does inside a
//! database for writes: one round trip and one commit for many. No timer is involved. A lone caller's statement goes out
//! at once; under load, batches grow by themselves to what arrives during one statement, and of a crowd half goes out.
//!
//! The module knows nothing of what is asked; [`Statement`] does. Each [`Batcher`] has one connection of its own, outside
//! any pool, and makes a new one when that breaks.

use std::{collections::VecDeque, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::database;

/// Items in one statement at most. Larger batches gain little, and everyone waits for the whole.
const BATCH: usize = 128;

/// Of those who wait one statement takes half, but no fewer than these: while PostgreSQL is at the other half, this program
/// is at the answers to the first. With all in one, the two would take turns, each idle while the other works.
const UNDIVIDED: usize = 32;

/// Callers that may wait for one batcher, at most; who comes then is refused at once.
const QUEUE: usize = 4096;

/// After this a caller has an answer, if only an error. Below [`crate::middleware::deadline::DEADLINE`], so that the page
/// can say what it was.
const DEADLINE: Duration = Duration::from_millis(1_600);

/// How long a batch waits for a row that somebody else has locked. A deadlock ends so as well: PostgreSQL looks for one
/// only after a second (`deadlock_timeout`).
const LOCK_TIMEOUT: &str = "500ms";

/// How long the others wait for it, once a batch has in vain: its items, each alone, and the next batches, until one finds
/// nothing locked. Longer than another replica's commit takes, and short, because many may want the same row, one after
/// the other.
const LOCK_TIMEOUT_AFTER: &str = "20ms";

/// One plan for each statement, made once; a plan for each batch would cost several times what a small batch does. And a
/// plan by index: one made while a table was small would read it whole, however it grows, until PostgreSQL's next look at
/// its size.
const ONE_PLAN_BY_INDEX: [(&str, &str); 2] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];

/// One statement over many items. It finds what it needs by an index: the batcher's connection reads no table whole, if
/// there is any other way.
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
    /// No answer in time.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The statement's own code panicked; the log has the message.
    #[error("the statement panicked")]
    Panicked,
    /// Too many callers wait already.
    #[error("too many requests wait for the database")]
    Overloaded,
}

/// The callers' end; cheap to clone. When the last one is dropped, whoever still waits is served, and the connection is
/// closed; or with the runtime, whichever ends first.
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
        let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]).options(ONE_PLAN_BY_INDEX);
        tokio::spawn(Worker { options, statement, connection: None, met_a_lock: false }.work(jobs));
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
            Ok(Err(_)) => Err(BatchError::Panicked),
            Err(_) => Err(BatchError::TimedOut),
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
    /// Whether the connection has the shorter time for locks.
    met_a_lock: bool,
}

/// How many of those who wait go out together.
fn share(waiting: usize) -> usize {
    (waiting / 2).clamp(UNDIVIDED, BATCH).min(waiting)
}

/// Who waits for the items of a batch, in their order; each leaves when answered.
type Waiting<S> = VecDeque<oneshot::Sender<Result<<S as Statement>::Output, BatchError>>>;

impl<S: Statement + Sync> Worker<S> {
    async fn work(mut self, mut queue: mpsc::Receiver<Job<S>>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while let Some(first) = queue.recv().await {
            jobs.push(first);
            // These are there already: taking them waits for nobody.
            let others = share(1 + queue.len()) - 1;
            queue.recv_many(&mut jobs, others).await;
            let (items, mut waiting): (Vec<_>, Waiting<S>) =
                jobs.drain(..).filter(|job| !job.reply.is_closed()).map(|job| (job.item, job.reply)).unzip();
            // Cut short in the middle of a statement, by time or by a panic, the connection is not put back.
            let answers = AssertUnwindSafe(self.answer(&items, &mut waiting)).catch_unwind();
            if timeout(DEADLINE, answers).await.is_err() {
                fail(&mut waiting, &BatchError::TimedOut);
            }
        }
        if let Some((connection, _)) = self.connection {
            let _ = timeout(DEADLINE, connection.close()).await;
        }
    }

    async fn answer(&mut self, items: &[S::Item], waiting: &mut Waiting<S>) {
        if items.is_empty() {
            return;
        }
        let mut outcome = self.attempt(items).await;
        let again = match &outcome {
            Err(error) if is_refusal(error) => items.len() == 1 && is_conflict(error),
            Err(_) => S::IDEMPOTENT,
            Ok(_) => false,
        };
        if again {
            outcome = self.attempt(items).await;
        }
        match outcome {
            Ok(outputs) => {
                outputs.into_iter().for_each(|output| reply(waiting, Ok(output)));
                self.set_met_a_lock(false).await;
            }
            Err(error) if is_refusal(&error) && items.len() > 1 => {
                self.one_by_one(items, waiting, &error).await
            }
            Err(error) => fail(waiting, &BatchError::Database(Arc::new(error))),
        }
    }

    /// PostgreSQL refused the statement, and nothing of it was done: an item that it can't take, a row locked for too
    /// long, a deadlock with another replica. Alone, each item but the bad one gets what it asks, and its answer as soon
    /// as it is there.
    async fn one_by_one(&mut self, items: &[S::Item], waiting: &mut Waiting<S>, refusal: &sqlx::Error) {
        if class(refusal).as_deref() == Some("55") {
            self.set_met_a_lock(true).await;
        }
        for item in items {
            let outputs = self.attempt(std::slice::from_ref(item)).await;
            let output = outputs.map(|mut outputs| outputs.pop().expect("an output for each item"));
            reply(waiting, output.map_err(|error| BatchError::Database(Arc::new(error))));
        }
    }

    async fn set_met_a_lock(&mut self, met: bool) {
        if self.met_a_lock == met {
            return;
        }
        // A connection that can't take it is given up; the next one starts with the usual time.
        if let Some((mut connection, used)) = self.connection.take() {
            let time = if met { LOCK_TIMEOUT_AFTER } else { LOCK_TIMEOUT };
            let set = sqlx::query_scalar!("select set_config('lock_timeout', $1, false)", time);
            if set.fetch_one(&mut connection).await.is_ok() {
                self.connection = Some((connection, used));
                self.met_a_lock = met;
            }
        }
    }

    async fn attempt(&mut self, items: &[S::Item]) -> sqlx::Result<Vec<S::Output>> {
        let mut connection = self.connect().await?;
        let result = self.statement.run(&mut connection, items).await.and_then(|outputs| {
            let complete = outputs.len() == items.len();
            complete
                .then_some(outputs)
                .ok_or_else(|| sqlx::Error::Protocol("an item without an output".into()))
        });
        if result.as_ref().err().is_none_or(is_refusal) {
            self.connection = Some((connection, Instant::now()));
        }
        result
    }

    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        if let Some((mut connection, used)) = self.connection.take()
            && (used.elapsed() < database::PING_AFTER || database::answers(&mut connection).await)
        {
            return Ok(connection);
        }
        self.met_a_lock = false;
        PgConnection::connect_with(&self.options).await
    }
}

fn reply<O>(waiting: &mut VecDeque<oneshot::Sender<Result<O, BatchError>>>, answer: Result<O, BatchError>) {
    if let Some(caller) = waiting.pop_front() {
        // Where nobody listens any more there is nothing to do.
        let _ = caller.send(answer);
    }
}

fn fail<O>(waiting: &mut VecDeque<oneshot::Sender<Result<O, BatchError>>>, error: &BatchError) {
    while !waiting.is_empty() {
        reply(waiting, Err(error.clone()));
    }
}

/// Whether the statement was refused for what it is or met, and rolled back: the SQLSTATE classes of bad data (21, 22,
/// 23), of conflicts between transactions (40), of locks (55) and of limits (54). All else is trouble of the database or
/// the connection, which no second try at once would mend.
/// See [PostgreSQL's error codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn is_refusal(error: &sqlx::Error) -> bool {
    matches!(class(error).as_deref(), Some("21" | "22" | "23" | "40" | "54" | "55"))
}

/// A deadlock or a failed serialization: the same statement may well succeed now.
fn is_conflict(error: &sqlx::Error) -> bool {
    class(error).as_deref() == Some("40")
}

fn class(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code()?.get(..2).map(str::to_owned)
}
