//! The task behind a batcher. It sends the items of the calls in its queue as one statement, and returns the outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{collections::VecDeque, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::batch::{Batch, Job};
use crate::connection::{Connection, check};
use crate::errors::{is_conflict, is_refusal};
use crate::{CHECK_AFTER, DEADLINE, Error, MAX_BATCH, Statement};

/// A longer queue is sent in halves, so that PostgreSQL works on one while callers process the other's results.
const UNDIVIDED: usize = 32;

/// How long a call is retried after a conflict. The rest of [`DEADLINE`] is left for the last attempt.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Pause before another attempt if no other calls arrive.
const PAUSE: Duration = Duration::from_millis(10);

/// After a retry, other calls get this many times as long as the retry took, because it may have waited for a lock.
const OTHERS: u32 = 4;

/// How many items are remembered after their calls failed because of a conflict.
const REMEMBERED: usize = 16;

/// Time limit for connecting when no call waits for it. With TLS, connecting takes nine round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the worker shares with its batcher.
pub(crate) struct Config<S> {
    pub options: PgConnectOptions,
    pub statement: S,
    /// Set while the database doesn't respond. Calls then fail immediately.
    pub is_down: AtomicBool,
}

pub(crate) struct Worker<S: Statement> {
    config: Arc<Config<S>>,
    queue: mpsc::Receiver<Job<S>>,
    connection: Option<Connection>,
    /// A connection that will replace an old one. Opening it can take longer than a call waits.
    newer: Option<JoinHandle<Option<Connection>>>,
    /// Calls whose item had a conflict, such as a locked row. Each item is sent separately, so that others don't fail.
    conflicts: Vec<Job<S>>,
    /// Items whose calls failed because of a conflict. Further calls with these items are also sent separately.
    known: Vec<S::Item>,
}

impl<S: Statement> Worker<S> {
    /// Answers calls until all senders of the queue are dropped.
    pub async fn run(config: Arc<Config<S>>, queue: mpsc::Receiver<Job<S>>) {
        let mut worker =
            Self { config, queue, connection: None, newer: None, conflicts: Vec::new(), known: Vec::new() };
        // When to retry the next conflict, even if other calls are waiting.
        let mut retry_at = Instant::now();
        while let Some(batch) = worker.next_batch().await {
            let is_idle = batch.items.is_empty();
            worker.answer(batch).await;
            let start = Instant::now();
            if (is_idle || start >= retry_at) && !worker.conflicts.is_empty() {
                let first = worker.conflicts.remove(0);
                let equal = worker.conflicts.extract_if(.., |job| job.0 == first.0).take(MAX_BATCH - 1);
                let mut retry: Vec<_> = equal.collect();
                retry.push(first);
                worker.answer(Batch::new(retry)).await;
                retry_at = Instant::now() + OTHERS * start.elapsed();
            }
        }
        if let Some(connection) = worker.connection {
            let _ = timeout(DEADLINE, connection.inner.close()).await;
        }
    }

    /// Takes calls from the queue. Returns an empty batch if it's time to retry a conflict.
    async fn next_batch(&mut self) -> Option<Batch<S>> {
        let wait = if self.conflicts.is_empty() { Duration::MAX } else { PAUSE };
        let Ok(first) = timeout(wait, self.queue.recv()).await else { return Some(Batch::new([])) };
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        jobs.push(first?);
        if !S::DELAY.is_zero() && self.queue.len() < MAX_BATCH {
            sleep(S::DELAY).await;
        }
        // The rest of the batch is already in the queue, so this doesn't wait.
        let waiting = 1 + self.queue.len();
        let size = (waiting / 2).clamp(UNDIVIDED, MAX_BATCH).min(waiting);
        self.queue.recv_many(&mut jobs, size - 1).await;
        #[cfg(feature = "metrics")]
        crate::batch::record::<S>(jobs.len(), waiting, jobs[0].1.arrival);

        let had_conflict = |(item, _): &mut Job<S>| {
            self.known.contains(item) || self.conflicts.iter().any(|conflict| conflict.0 == *item)
        };
        let joining: Vec<_> = jobs.extract_if(.., had_conflict).collect();
        self.conflicts.extend(joining);
        Some(Batch::new(jobs))
    }

    /// Answers all calls of a batch, or adds them to the conflicts.
    async fn answer(&mut self, batch: Batch<S>) {
        let mut parts = VecDeque::from([batch]);
        // If time runs out or the statement panics, the connection is dropped with the future.
        let answers = AssertUnwindSafe(self.answer_parts(&mut parts)).catch_unwind();
        if timeout(DEADLINE, answers).await.is_err() {
            parts.into_iter().for_each(|part| part.fail(&Error::TimedOut));
            // The network may be dropping packets. If so, new calls would only fill the queue.
            self.config.is_down.store(true, Ordering::Relaxed);
            while !self.queue.is_closed() {
                if let Ok(opened) = timeout(CONNECT_TIMEOUT, Connection::open(&self.config.options)).await {
                    self.connection = opened.ok();
                    break;
                }
            }
            self.config.is_down.store(false, Ordering::Relaxed);
        }
    }

    /// Sends each part of a batch. A part that PostgreSQL refuses is split in two, until the bad items are alone.
    async fn answer_parts(&mut self, parts: &mut VecDeque<Batch<S>>) {
        while let Some(part) = parts.front() {
            let result = self.attempt(&part.items).await;
            let part = parts.pop_front().expect("it is the front");
            let is_uniform = part.items.windows(2).all(|pair| pair[0] == pair[1]);
            match result {
                Ok(outputs) if outputs.len() == part.items.len() => {
                    self.known.retain(|item| Some(item) != part.items.first());
                    part.answer(outputs.into_iter().map(Ok));
                }
                Ok(_) => part.fail(&Error::Panicked),
                Err(error) if is_refusal(&error) && !is_uniform => parts.extend(part.split()),
                Err(error) if is_conflict(&error) => {
                    let is_patient = |(_, caller): &Job<S>| caller.arrival.elapsed() < PATIENCE;
                    let (retried, failed): (Vec<_>, Vec<_>) = part.into_jobs().partition(is_patient);
                    self.conflicts.extend(retried);
                    let (mut items, callers): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
                    let failed = items.pop().filter(|item| !self.known.contains(item));
                    self.known.extend(failed);
                    self.known.drain(..self.known.len().saturating_sub(REMEMBERED));
                    Batch { items, callers }.fail(&Error::Database(Arc::new(error)));
                }
                Err(error) => part.fail(&Error::Database(Arc::new(error))),
            }
        }
    }

    /// Runs the statement once. Keeps the connection only if it is still usable.
    async fn attempt(&mut self, items: &[S::Item]) -> sqlx::Result<Vec<S::Output>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.connect().await?;
        let result = self.config.statement.run(&mut connection.inner, items).await;
        if result.as_ref().err().is_none_or(is_refusal) {
            connection.last_used = Instant::now();
            self.connection = Some(connection);
        }
        result
    }

    async fn connect(&mut self) -> sqlx::Result<Connection> {
        if let Some(mut connection) = self.connection.take() {
            if connection.expires <= Instant::now() {
                connection = self.newer().unwrap_or(connection);
            }
            if connection.last_used.elapsed() < CHECK_AFTER || check(&mut connection.inner).await.is_ok() {
                return Ok(connection);
            }
        }
        Connection::open(&self.config.options).await
    }

    /// Opens a connection in the background, and returns it once it is open.
    fn newer(&mut self) -> Option<Connection> {
        let newer = self.newer.get_or_insert_with(|| {
            let config = Arc::clone(&self.config);
            tokio::spawn(async move {
                timeout(CONNECT_TIMEOUT, Connection::open(&config.options)).await.ok()?.ok()
            })
        });
        let opened = newer.now_or_never()?;
        self.newer = None;
        opened.ok()?
    }
}
