//! Limits the size of a request and the time that its body takes, so that no client can fill the memory or keep a
//! connection open by sending nothing. Before that, actix-http enforces its own, higher limits.

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

/// Maximum length of path and query, in bytes. RFC 9110 recommends at least 8,000.
const MAX_URI_BYTES: usize = 8 * 1024;

/// Maximum number of headers. A browser behind two proxies sends about thirty.
const MAX_HEADERS: usize = 64;

/// Maximum total length of header names and values, in bytes. Browsers accept cookies of up to 4 KiB each.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Maximum length of a body, in bytes. Plenty for forms; raise it for uploads. actix-web's extractors also use it.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Time limit for a body, counted from the end of the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers 414, 431, 413 or 408 to a request that exceeds the limits. Otherwise, reads the whole body and passes it on.
pub async fn request_limits(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(status) = too_large(&request) {
        return Ok(refuse(request, status));
    }
    if !matches!(request.parts().1, Payload::None) {
        match timeout(BODY_TIMEOUT, request.extract::<Bytes>()).await {
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

fn too_large(request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI_BYTES) {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() > MAX_HEADERS || head > MAX_HEAD_BYTES {
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
