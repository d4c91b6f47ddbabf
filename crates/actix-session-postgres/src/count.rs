//! Counters for the recorder of the `metrics` crate, if the feature is on and the program has installed one.

#[cfg(feature = "metrics")]
pub(crate) fn count(name: &'static str, by: u64) {
    metrics::counter!(name).increment(by);
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn count(_: &'static str, _: u64) {}
