//! The log: where it goes and what it looks like. [`crate::middleware::request_log`] writes the lines of requests.

use std::{
    io::{self, IsTerminal},
    panic,
};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Sends the log to standard error in the configured format. Requests never wait for it. The last lines are written when
/// the returned value is dropped.
pub fn init(config: &Config) -> nonblocking_log::Log {
    let (writer, log) = nonblocking_log::stderr();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match config.log_format {
        LogFormat::Pretty => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).init(),
    }
    log_panics();
    log
}

/// Logs panics instead of printing them. A panic in a request is logged with the request's ID.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}
