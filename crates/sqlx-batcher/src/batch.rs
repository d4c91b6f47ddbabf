//! A batch of calls that share one statement.

use tokio::{sync::oneshot, time::Instant};

use crate::{Error, Statement};

/// A call that is waiting in the queue.
pub(crate) struct Job<S: Statement> {
    pub item: S::Item,
    pub caller: Caller<S>,
}

pub(crate) struct Caller<S: Statement> {
    pub reply: oneshot::Sender<Result<S::Output, Error>>,
    pub arrival: Instant,
}

/// Items and their callers, in the same order.
pub(crate) struct Batch<S: Statement> {
    pub items: Vec<S::Item>,
    pub callers: Vec<Caller<S>>,
}

impl<S: Statement> Batch<S> {
    /// Creates a batch, but leaves out calls whose futures have been dropped.
    pub fn new(jobs: impl IntoIterator<Item = Job<S>>) -> Self {
        let waiting = jobs.into_iter().filter(|job| !job.caller.reply.is_closed());
        let (items, callers) = waiting.map(|job| (job.item, job.caller)).unzip();
        Self { items, callers }
    }

    pub fn into_jobs(self) -> impl Iterator<Item = Job<S>> {
        self.items.into_iter().zip(self.callers).map(|(item, caller)| Job { item, caller })
    }

    pub fn answer(self, outputs: Vec<S::Output>) {
        for (caller, output) in self.callers.into_iter().zip(outputs) {
            // Fails if the call's future has been dropped.
            let _ = caller.reply.send(Ok(output));
        }
    }

    pub fn fail(self, error: &Error) {
        for caller in self.callers {
            let _ = caller.reply.send(Err(error.clone()));
        }
    }

    /// Returns whether all items are equal.
    pub fn is_uniform(&self) -> bool {
        self.items.iter().all(|item| *item == self.items[0])
    }

    /// Splits a batch of at least two items into halves that have no item in common. If all items are equal,
    /// the first half is one of them.
    pub fn split(self) -> [Self; 2] {
        let mut distinct = Vec::<&S::Item>::new();
        for item in &self.items {
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        let half = &distinct[..distinct.len() / 2];
        let mut is_first: Vec<bool> = self.items.iter().map(|item| half.contains(&item)).collect();
        // If all items are equal, `half` is empty.
        is_first[0] = true;
        let mut is_first = is_first.into_iter();
        let (first, rest): (Vec<_>, Vec<_>) = self.into_jobs().partition(|_| is_first.next() == Some(true));
        [Self::new(first), Self::new(rest)]
    }
}

/// Records that the statement `S` is about to be sent for `size` of `queue` waiting calls. The first one has
/// been waiting since `arrival`.
#[cfg(feature = "metrics")]
pub(crate) fn record<S>(size: usize, queue: usize, arrival: Instant) {
    let name = std::any::type_name::<S>();
    let name = name.split('<').next().unwrap_or(name);
    let name = name.rsplit("::").next().unwrap_or(name);
    metrics::histogram!("batcher_batch_size", "statement" => name).record(size as f64);
    metrics::histogram!("batcher_queue_length", "statement" => name).record(queue as f64);
    metrics::histogram!("batcher_wait_seconds", "statement" => name).record(arrival.elapsed());
}
