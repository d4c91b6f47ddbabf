//! Logging: a line for each request that is news, and every line of a request carries its id.

use std::{
    io::{self, IsTerminal},
    panic,
};

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Sends the log to standard error, in the configured form, and a panic's message with it.
pub fn init(config: &Config) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        // Colours for a person, none for a file.
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match config.log_format {
        LogFormat::Pretty => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
    }
    log_panics();
}

/// Has a panic logged, as a line of the request in which it happens, in place of the standard library's words.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

/// The middleware that gives each request its id and its log line.
pub fn request_log() -> TracingLogger<RequestLog> {
    TracingLogger::new()
}

/// What stands in the log for one request: never a header, a cookie or a query, which may be secret.
pub struct RequestLog;

impl RootSpanBuilder for RequestLog {
    fn on_request_start(request: &ServiceRequest) -> Span {
        use actix_web::HttpMessage;
        let id = request.extensions().get::<RequestId>().copied();
        tracing::info_span!(
            "request",
            id = id.map(tracing::field::display),
            method = shortened(request.method().as_str(), 16),
            path = shortened(request.path(), 256),
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, outcome: &Result<ServiceResponse<B>, actix_web::Error>) {
        match outcome {
            Ok(response) if is_routine(response) => {
                tracing::debug!(status = response.status().as_u16(), "answered");
            }
            Ok(response) => tracing::info!(status = response.status().as_u16(), "answered"),
            Err(error) => {
                tracing::info!(status = error.as_response_error().status_code().as_u16(), "answered");
            }
        }
    }
}

/// A health check or a static file with nothing wrong: both come often, and are no news.
fn is_routine<B>(response: &ServiceResponse<B>) -> bool {
    let path = response.request().path();
    let is_fine = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    is_fine && (path.starts_with("/health/") || path.starts_with("/static/"))
}

/// What the client makes up may be as long as it likes; its line in the log may not.
fn shortened(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
