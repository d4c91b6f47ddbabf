//! What a batcher reports to the recorder of the [`metrics`] crate, if the program has installed one.

use metrics::histogram;
use tokio::time::Instant;

/// Records that the statement `S` is about to be sent for `size` of `queue` waiting calls. The first one has waited since
/// `arrival`.
pub(crate) fn record<S>(size: usize, queue: usize, arrival: Instant) {
    let name = std::any::type_name::<S>();
    let name = name.split('<').next().unwrap_or(name);
    let name = name.rsplit("::").next().unwrap_or(name);
    histogram!("batcher_batch_size", "statement" => name).record(size as f64);
    histogram!("batcher_queue_length", "statement" => name).record(queue as f64);
    histogram!("batcher_wait_seconds", "statement" => name).record(arrival.elapsed());
}
