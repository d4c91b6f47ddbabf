//! A batch of calls that share one statement.

use tokio::{sync::oneshot, time::Instant};

use crate::{Error, Statement};

/// An item, and the caller that waits for its output.
pub(crate) type Job<S> = (<S as Statement>::Item, Caller<S>);

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
        let (items, callers) = jobs.into_iter().filter(|(_, caller)| !caller.reply.is_closed()).unzip();
        Self { items, callers }
    }

    pub fn into_jobs(self) -> impl Iterator<Item = Job<S>> {
        self.items.into_iter().zip(self.callers)
    }

    pub fn answer(self, results: impl IntoIterator<Item = Result<S::Output, Error>>) {
        for (caller, result) in self.callers.into_iter().zip(results) {
            // Fails if the call's future has been dropped.
            let _ = caller.reply.send(result);
        }
    }

    pub fn fail(self, error: &Error) {
        self.answer(std::iter::repeat_with(|| Err(error.clone())));
    }

    /// Splits a batch into halves that have no item in common. Its items must not all be equal.
    pub fn split(self) -> [Self; 2] {
        let mut jobs: Vec<_> = self.into_jobs().collect();
        let mut halves = [Vec::new(), Vec::new()];
        while let Some(first) = jobs.pop() {
            halves[0].extend(jobs.extract_if(.., |job| job.0 == first.0));
            halves[0].push(first);
            halves.reverse();
        }
        halves.map(Self::new)
    }
}

/// Records a statement for `size` of `queue` waiting calls. The first one has waited since `arrival`.
#[cfg(feature = "metrics")]
pub(crate) fn record<S>(size: usize, queue: usize, arrival: Instant) {
    let name = std::any::type_name::<S>();
    let name = name.split('<').next().and_then(|name| name.rsplit("::").next()).unwrap_or(name);
    metrics::histogram!("batcher_batch_size", "statement" => name).record(size as f64);
    metrics::histogram!("batcher_queue_length", "statement" => name).record(queue as f64);
    metrics::histogram!("batcher_wait_seconds", "statement" => name).record(arrival.elapsed());
}
