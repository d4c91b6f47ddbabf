//! The log: where it goes and what it looks like. [`crate::http::request_log`] logs the requests.

use std::{io, io::IsTerminal, panic, sync::OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::Config;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Sends the log to standard error. Requests never wait for it. Dropping the returned value writes the last lines.
pub fn init(config: &Config) -> WorkerGuard {
    // The waiting lines take about 5 MiB of memory. Further lines are lost.
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(16_384).finish(io::stderr());
    let _ = LOST.set(writer.error_counter());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    if config.log_as_json {
        subscriber.json().flatten_event(true).with_span_list(false).init();
    } else {
        subscriber.init();
    }
    log_panics();
    guard
}

/// Logs panics instead of printing them. A panic in a request is logged with the request's ID.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

/// Returns the number of lines that were lost because too many were waiting.
pub fn lost_lines() -> u64 {
    LOST.get().map_or(0, |lost| lost.dropped_lines() as u64)
}
