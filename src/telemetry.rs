//! Logging: one line a request, and every line of a request carries its id.

use std::panic;

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Sends the log to standard error, in the configured form, and a panic's message with it.
pub fn init(config: &Config) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log_filter))
        .with_writer(std::io::stderr);
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
            method = method(request.method()),
            path = request.path(),
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, outcome: &Result<ServiceResponse<B>, actix_web::Error>) {
        match outcome {
            // Every few seconds, for as long as the process runs: no news.
            Ok(response) if is_health_check(response) => tracing::debug!(status = 200, "answered"),
            Ok(response) => tracing::info!(status = response.status().as_u16(), "answered"),
            Err(error) => {
                tracing::info!(status = error.as_response_error().status_code().as_u16(), "answered");
            }
        }
    }
}

/// One that found nothing wrong.
fn is_health_check<B>(response: &ServiceResponse<B>) -> bool {
    response.request().path().starts_with("/health/") && response.status() == StatusCode::OK
}

/// A method of the client's own making is not worth a line of its length.
fn method(method: &Method) -> &str {
    match method.as_str() {
        name if name.len() <= 16 => name,
        _ => "(too long)",
    }
}
