//! Logs one line for each request, and gives all log lines of a request the same ID.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header::HeaderMap};
use actix_web::{HttpMessage, HttpRequest, body::MessageBody, web::Data};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use crate::Config;

/// Calls `line` with the response's headers, but only if the request didn't fail. By then, the session has been saved.
pub fn log_after_success(request: &HttpRequest, line: impl FnOnce(&HeaderMap) + 'static) {
    request.extensions_mut().insert(AfterSuccess(Box::new(line)));
}

struct AfterSuccess(Box<dyn FnOnce(&HeaderMap)>);

/// Decides what is logged about a request. It never logs headers, cookies or the query, because they may be secret.
pub struct RequestLog;

impl RootSpanBuilder for RequestLog {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().copied();
        let config = request.app_data::<Data<Config>>().expect("all apps have it");
        let trace_id = config.trusted_proxies.trace_id(request.headers(), request.peer_addr());
        let (method, path) = (truncated(request.method().as_str(), 16), truncated(request.path(), 256));
        tracing::info_span!("request", id = id.map(tracing::field::display), trace_id, method, path)
    }

    fn on_request_end<B: MessageBody>(_: Span, outcome: &Result<ServiceResponse<B>, actix_web::Error>) {
        let (status, path) = match outcome {
            Ok(response) => (response.status(), response.request().path()),
            Err(error) => (error.as_response_error().status_code(), ""),
        };
        if let Ok(response) = outcome
            && (status.is_success() || status.is_redirection())
            && let Some(AfterSuccess(line)) = response.request().extensions_mut().remove()
        {
            line(response.headers());
        }
        // Successful requests for health checks and static files would flood the log.
        let is_fine = status.is_success() || status == StatusCode::NOT_MODIFIED;
        if is_fine && (path.starts_with("/health/") || path.starts_with("/static/")) {
            tracing::debug!(status = status.as_u16(), "answered");
        } else {
            tracing::info!(status = status.as_u16(), "answered");
        }
    }
}

/// Returns the beginning of a text that a client has sent.
pub(super) fn truncated(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}
