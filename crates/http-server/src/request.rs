//! Limits the size of a request and the time that its body takes, so that no client can fill the memory or keep a
//! connection open by sending nothing. Actix-http has its own, higher limits, and enforces them first.

use std::time::Duration;

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web::Bytes,
};
use tokio::time::timeout;

/// How large a request may be, and how long its body may take.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Maximum length of path and query, in bytes.
    pub uri: usize,
    /// Maximum number of headers.
    pub headers: usize,
    /// Maximum total length of header names and values, in bytes.
    pub head: usize,
    /// Time limit for a body, counted from the end of the head.
    pub body: Duration,
}

/// A middleware function that answers 414, 431, 413 or 408 to a request that exceeds the limits. Otherwise, it reads the whole
/// body and passes it on. The maximum length of a body is that of the app's [`PayloadConfig`](actix_web::web::PayloadConfig).
///
/// # Errors
/// Returns the errors of `next`.
pub async fn limit_request(
    limits: &RequestLimits,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(status) = too_large(limits, &request) {
        return Ok(refuse(request, status));
    }
    if !matches!(request.parts().1, Payload::None) {
        match timeout(limits.body, request.extract::<Bytes>()).await {
            Ok(Ok(body)) => {
                // The body is decompressed now.
                request.headers_mut().remove(header::CONTENT_ENCODING);
                request.set_payload(Payload::from(body));
            }
            Ok(Err(error)) => return Ok(refuse(request, error.as_response_error().status_code())),
            Err(_) => return Ok(refuse(request, StatusCode::REQUEST_TIMEOUT)),
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

fn too_large(limits: &RequestLimits, request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > limits.uri) {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() > limits.headers || head > limits.head {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else {
        None
    }
}

/// Closes the connection, because the rest of the body may still arrive and would be mistaken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse<BoxBody> {
    tracing::debug!(status = status.as_u16(), "refused a request that was too large or too slow");
    request.into_response(HttpResponse::build(status).force_close().finish())
}
