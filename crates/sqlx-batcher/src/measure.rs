//! What a batcher reports to the recorder of the [`metrics`] crate, if the program has installed one.

use metrics::{Histogram, histogram};
use tokio::time::Instant;

pub(crate) struct Measure {
    size: Histogram,
    queue: Histogram,
    wait: Histogram,
}

impl Measure {
    /// Creates the metrics of the statement `S`. Its name is the label.
    pub fn of<S>() -> Self {
        let name = std::any::type_name::<S>();
        let name = name.rsplit("::").next().unwrap_or(name);
        Self {
            size: histogram!("batcher_batch_size", "statement" => name),
            queue: histogram!("batcher_queue_length", "statement" => name),
            wait: histogram!("batcher_wait_seconds", "statement" => name),
        }
    }

    /// Records that a statement is about to be sent for `size` of `queue` waiting calls. The first one has waited since
    /// `arrival`.
    pub fn batch(&self, size: usize, queue: usize, arrival: Instant) {
        self.size.record(size as f64);
        self.queue.record(queue as f64);
        self.wait.record(arrival.elapsed());
    }
}
