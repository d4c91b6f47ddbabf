//! The log: where it goes and what it looks like. [`crate::http::request_log`] logs the requests.

use std::{
    io::{self, IsTerminal},
    panic,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Maximum number of lines waiting to be written. They take about 5 MiB of memory. Further lines are lost.
const MAX_WAITING_LINES: usize = 16_384;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Sends the log to standard error in the configured format. Requests never wait for it, even if nothing reads standard
/// error. The last lines are written when the returned value is dropped.
pub fn init(config: &Config) -> WorkerGuard {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING_LINES);
    let (writer, guard) = builder.finish(io::stderr());
    let _ = LOST.set(writer.error_counter());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match config.log_format {
        LogFormat::Pretty => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).init(),
    }
    log_panics();
    guard
}

/// Logs panics instead of printing them. A panic in a request is logged with the request's ID.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

/// Allows one log line per minute, for events that any client can cause.
pub struct OncePerMinute(Mutex<Option<Instant>>);

impl OncePerMinute {
    /// Creates the limit. The first line is due immediately.
    pub const fn due() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns whether a line is due. The next one is due a minute later.
    pub fn is_due(&self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= Duration::from_secs(60));
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// Returns the number of lines that were lost because too many were waiting.
pub fn lost_lines() -> u64 {
    LOST.get().map_or(0, |lost| lost.dropped_lines() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_minute_is_due() {
        let (lines, now) = (OncePerMinute::due(), Instant::now());
        let due =
            [0, 1, 59, 60, 61, 119, 120].map(|second| lines.is_due_at(now + Duration::from_secs(second)));

        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
