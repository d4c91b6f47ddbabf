//! The task behind a batcher. It takes jobs from the queue, sends them as one statement, and returns the results.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use crate::{CHECK_AFTER, DEADLINE, Error, MAX_BATCH, Statement, is_alive, measure::Measure};

/// A queue up to this length is sent as one batch. If the queue is longer, a statement takes half of it, so that
/// PostgreSQL works on one half while the callers process the results of the other. At 64 connections, this handles
/// 3.5% more calls per second. With smaller halves, the fixed cost of a statement outweighs the gain.
const UNDIVIDED: usize = 32;

pub(crate) struct Job<S: Statement> {
    pub item: S::Item,
    pub reply: Reply<S>,
    pub arrival: Instant,
}

type Reply<S> = oneshot::Sender<Result<<S as Statement>::Output, Error>>;

pub(crate) struct Worker<S> {
    options: PgConnectOptions,
    statement: Arc<S>,
    /// The connection, and when it was last used.
    connection: Option<(PgConnection, Instant)>,
    measure: Measure,
}

impl<S: Statement> Worker<S> {
    pub fn new(options: PgConnectOptions, statement: Arc<S>) -> Self {
        Self { options, statement, connection: None, measure: Measure::of::<S>() }
    }

    /// Answers jobs until all senders of the queue are dropped.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Job<S>>) {
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while let Some(first) = queue.recv().await {
            let arrival = first.arrival;
            jobs.push(first);
            if !S::DELAY.is_zero() && queue.len() < MAX_BATCH {
                sleep(S::DELAY).await;
            }
            // The rest of the batch is already in the queue, so this doesn't wait.
            let waiting = 1 + queue.len();
            queue.recv_many(&mut jobs, batch_size(waiting) - 1).await;
            self.measure.batch(jobs.len(), waiting, arrival);

            let (items, mut callers): (Vec<_>, VecDeque<_>) =
                jobs.drain(..).filter(|job| !job.reply.is_closed()).map(|job| (job.item, job.reply)).unzip();
            // If time runs out or the statement panics, the connection is dropped with the future.
            let answers = AssertUnwindSafe(self.answer(&items, &mut callers)).catch_unwind();
            if timeout(DEADLINE, answers).await.is_err() {
                reply_all(callers, &Error::TimedOut);
            }
        }
        if let Some((connection, _)) = self.connection {
            let _ = timeout(DEADLINE, connection.close()).await;
        }
    }

    async fn answer(&mut self, items: &[S::Item], callers: &mut VecDeque<Reply<S>>) {
        if items.is_empty() {
            return;
        }
        match self.attempt(items).await {
            Ok(outputs) => outputs.into_iter().for_each(|output| reply(callers, Ok(output))),
            // PostgreSQL rolled the statement back, perhaps because of a single item.
            Err(error) if is_refusal(&error) => {
                // Equal items share a refusal, because each attempt may wait for a lock.
                let mut refused = Vec::<(&S::Item, Arc<sqlx::Error>)>::new();
                for item in items {
                    let known =
                        refused.iter().find(|(other, _)| *other == item).map(|(_, error)| error.clone());
                    let output = match known {
                        Some(error) => Err(error),
                        None => self.attempt(std::slice::from_ref(item)).await.map_err(Arc::new),
                    };
                    if let Err(error) = &output {
                        refused.push((item, Arc::clone(error)));
                    }
                    let output =
                        output.map(|mut outputs| outputs.pop().expect("attempt() checks the number"));
                    reply(callers, output.map_err(Error::Database));
                }
            }
            Err(error) => reply_all(std::mem::take(callers), &Error::Database(Arc::new(error))),
        }
    }

    /// Runs the statement once. Keeps the connection only if it is still usable.
    async fn attempt(&mut self, items: &[S::Item]) -> sqlx::Result<Vec<S::Output>> {
        let mut connection = self.connect().await?;
        let result = self.statement.run(&mut connection, items).await.and_then(|outputs| {
            let complete = outputs.len() == items.len();
            complete.then_some(outputs).ok_or_else(|| sqlx::Error::Protocol("wrong number of outputs".into()))
        });
        if result.as_ref().err().is_none_or(is_refusal) {
            self.connection = Some((connection, Instant::now()));
        }
        result
    }

    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        if let Some((mut connection, last_used)) = self.connection.take() {
            let is_fresh = last_used.elapsed() < CHECK_AFTER;
            if is_fresh || is_alive(&mut connection).await {
                return Ok(connection);
            }
        }
        PgConnection::connect_with(&self.options).await
    }
}

/// Returns how many of the waiting items the next statement takes.
fn batch_size(waiting: usize) -> usize {
    (waiting / 2).clamp(UNDIVIDED, MAX_BATCH).min(waiting)
}

/// Answers the first caller, unless it has stopped waiting.
fn reply<O>(callers: &mut VecDeque<oneshot::Sender<Result<O, Error>>>, answer: Result<O, Error>) {
    if let Some(caller) = callers.pop_front() {
        let _ = caller.send(answer);
    }
}

fn reply_all<O>(mut callers: VecDeque<oneshot::Sender<Result<O, Error>>>, error: &Error) {
    while !callers.is_empty() {
        reply(&mut callers, Err(error.clone()));
    }
}

/// Returns whether PostgreSQL refused the statement, and a second attempt is safe and useful. The SQLSTATE classes are
/// bad data (21, 22, 23, 44), a conflict with another transaction (40), an exceeded limit (54), a lock (55), and an
/// exception in a trigger or function (P0).
///
/// See [PostgreSQL's error codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // statement_completion_unknown: distributed databases use it if the write may have been committed.
        Some("40003") | None => false,
        Some(code) => {
            matches!(code.get(..2), Some("21" | "22" | "23" | "40" | "44" | "54" | "55" | "P0"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_queue_is_one_batch() {
        for waiting in 1..=UNDIVIDED {
            assert_eq!(batch_size(waiting), waiting);
        }
    }

    #[test]
    fn a_batch_is_neither_empty_nor_larger_than_the_limit() {
        for waiting in 1..=crate::QUEUE_SIZE {
            let size = batch_size(waiting);
            assert!((1..=waiting.min(MAX_BATCH)).contains(&size), "{size} of {waiting}");
        }
    }
}
