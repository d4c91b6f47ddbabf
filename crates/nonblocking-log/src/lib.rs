#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{
    io::{self, Write},
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Maximum number of lines that wait to be written. They take about 5 MiB of memory.
const MAX_WAITING_LINES: usize = 16_384;

/// Starts the thread that writes to standard error.
pub fn stderr() -> (NonBlocking, Log) {
    let dropped = Arc::<OnceLock<ErrorCounter>>::default();
    let stderr = Stderr { dropped: dropped.clone(), works: true, failed: 0, reported: 0 };
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING_LINES).finish(stderr);
    let _ = dropped.set(writer.error_counter());
    (writer, Log(Some(guard)))
}

/// Writes the lines that are still waiting when it is dropped.
#[must_use = "dropping it ends the log"]
pub struct Log(Option<WorkerGuard>);

impl Drop for Log {
    fn drop(&mut self) {
        let guard = self.0.take();
        within_a_second(move || drop(guard));
    }
}

/// Prints the error that ends the program. Unlike `eprintln!`, it never panics and never blocks for long.
pub fn print_error(message: String) {
    within_a_second(move || {
        let _ = writeln!(io::stderr(), "{message}");
    });
}

/// Runs a function that may block forever, and waits at most a second for it.
fn within_a_second(write: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    // If there are no threads left, nothing is written.
    let _ = thread::Builder::new().spawn(move || {
        write();
        done.send(())
    });
    let _ = is_done.recv_timeout(Duration::from_secs(1));
}

/// Standard error, and how many lines it has lost. Only the log's thread uses it.
struct Stderr {
    /// Lines for which the queue had no room.
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// Lines that could not be written, for example because the disk was full.
    failed: usize,
    /// Whether the last line could be written.
    works: bool,
    /// Lost lines that the log has already reported.
    reported: usize,
}

impl Write for Stderr {
    /// Never fails, so that the log continues when writing works again.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.works = io::stderr().write_all(line).is_ok();
        self.failed += usize::from(!self.works);
        Ok(line.len())
    }

    /// Reports lost lines. The log's thread calls this when no line is waiting, so there is room for the report.
    fn flush(&mut self) -> io::Result<()> {
        let lost = self.failed + self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if self.works && lost > self.reported {
            let lines = lost - self.reported;
            tracing::warn!(lines, "log lines were lost because they could not be written");
            metrics::counter!("log_lines_lost_total").increment(lines as u64);
            self.reported = lost;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn lost_lines_are_a_metric_that_counts_each_line_once() {
        let recorder = DebuggingRecorder::new();
        let mut stderr = Stderr { dropped: Arc::default(), works: true, failed: 3, reported: 1 };

        metrics::with_local_recorder(&recorder, || {
            stderr.flush().expect("it never fails");
            stderr.flush().expect("it never fails");
        });

        let metrics = recorder.snapshotter().snapshot().into_vec();
        let [(key, _, _, DebugValue::Counter(2))] = &metrics[..] else { panic!("{metrics:?}") };
        assert_eq!(key.key().name(), "log_lines_lost_total");
    }
}
