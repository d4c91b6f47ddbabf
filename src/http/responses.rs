//! What every response has in common: failures become pages, and all responses get security headers.
//!
//! The headers follow [OWASP's cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html).

use std::{panic::AssertUnwindSafe, sync::atomic::Ordering};

use actix_session_postgres::StoreFailure;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{Error, HttpMessage, HttpResponse, middleware::Next, web::Data};
use anyhow::anyhow;
use futures_util::FutureExt;
use tracing_actix_web::RequestId;

use crate::view::{CONTENT_TYPE, error_page::error_page};
use crate::{Config, error, readiness::Readiness};

/// Pages load styles, scripts and images only from this app, and forms post only to it. Inline code is forbidden, so
/// injected text can't run. Lighthouse audits need `connect-src`, because they fetch `/robots.txt`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS_POLICY)),
];

const PERMISSIONS_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Logs each failure and turns it into a page: errors of handlers and extractors, failures of the session store, and
/// panics. An error response that a handler builds itself keeps its body.
pub async fn responses(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let request_id = request.extensions().get::<RequestId>().copied();
    let secure = request.app_data::<Data<Config>>().expect("all apps have it").cookie_secure;
    let readiness = request.app_data::<Data<Readiness>>().expect("all apps have it").clone();
    let finish = move |response| with_headers(response, secure, &readiness);
    // Without `catch_unwind`, a panic would close the connection.
    let mut error = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let (request, response) = response.into_parts();
            response.error().inspect(|error| log(response.status(), error));
            let response = if needs_page(&response) { with_page(response, request_id) } else { response };
            return Ok(ServiceResponse::new(request, finish(response)));
        }
        Ok(Err(error)) => {
            log(error.as_response_error().status_code(), &error);
            error
        }
        // The panic hook has already logged it.
        Err(_panic) => error::Error::Internal(anyhow!("a panic")).into(),
    };
    // An error only becomes a response after it has passed through all layers.
    error.add_response_mapper(move |response| finish(with_page(response, request_id)));
    Err(error)
}

/// Returns whether the body must be an error page. actix-web's extractors return errors as plain text.
fn needs_page(response: &HttpResponse) -> bool {
    let is_failure = response.status().is_client_error() || response.status().is_server_error();
    let is_empty = matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    is_failure && (is_empty || response.error().is_some())
}

fn with_page(mut response: HttpResponse, request_id: Option<RequestId>) -> HttpResponse {
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    let page = error_page(response.status(), request_id);
    response.set_body(BoxBody::new(page))
}

/// Adds the headers. While the app is stopping, the response also closes its connection.
fn with_headers(mut response: HttpResponse, secure: bool, readiness: &Readiness) -> HttpResponse {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if secure {
        // Two years, as recommended by hstspreload.org. Subdomains are left out, because they may belong to other apps.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if readiness.stopping.load(Ordering::Relaxed) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Logs a failure once, with its cause. The span adds the request's ID.
fn log(status: StatusCode, error: &Error) {
    if error.as_error::<StoreFailure>().is_some() {
        return; // The store has already logged it.
    }
    // Doesn't log the `Debug` text, because PostgreSQL's details quote the row.
    if status.is_server_error() {
        tracing::error!(status = status.as_u16(), %error, "the request failed");
    } else {
        tracing::debug!(status = status.as_u16(), %error, "the request was refused");
    }
}
