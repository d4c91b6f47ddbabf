//! The calls that one statement answers.

use tokio::{sync::oneshot, time::Instant};

use crate::{Error, Statement};

/// A call that waits in the queue.
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
    /// Leaves out the calls whose futures have been dropped.
    pub fn new(jobs: impl IntoIterator<Item = Job<S>>) -> Self {
        let waiting = jobs.into_iter().filter(|job| !job.caller.reply.is_closed());
        let (items, callers) = waiting.map(|job| (job.item, job.caller)).unzip();
        Self { items, callers }
    }

    pub fn into_jobs(self) -> impl Iterator<Item = Job<S>> {
        self.items.into_iter().zip(self.callers).map(|(item, caller)| Job { item, caller })
    }

    pub fn push(&mut self, job: Job<S>) {
        if self.callers.is_empty() {
            // A conflict whose calls have failed.
            self.items.clear();
        }
        self.items.push(job.item);
        self.callers.push(job.caller);
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

    /// Takes the items from the position `at` on, if there are any.
    pub fn split_off(&mut self, at: usize) -> Option<Self> {
        let is_longer = self.items.len() > at;
        is_longer.then(|| Self { items: self.items.split_off(at), callers: self.callers.split_off(at) })
    }

    /// Returns whether all items are equal.
    pub fn is_uniform(&self) -> bool {
        self.items.iter().all(|item| *item == self.items[0])
    }

    /// Splits a batch of at least two items into halves that have no item in common. If all items are equal, the first
    /// part is one of them.
    pub fn split(self) -> [Self; 2] {
        let mut distinct = Vec::<&S::Item>::new();
        let mut kinds = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let known = distinct.iter().position(|other| *other == item);
            kinds.push(known.unwrap_or_else(|| {
                distinct.push(item);
                distinct.len() - 1
            }));
        }
        let middle = distinct.len() / 2;
        let mut parts = [Vec::new(), Vec::new()];
        for (n, (job, kind)) in self.into_jobs().zip(kinds).enumerate() {
            let is_first = kind < middle || (middle == 0 && n == 0);
            parts[usize::from(!is_first)].push(job);
        }
        parts.map(Self::new)
    }
}
