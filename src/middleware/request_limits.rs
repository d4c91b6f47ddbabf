//! Limits on the size of a request and on the time of its body, so that no client can fill the memory or hold a connection
//! open by sending nothing. actix-http enforces its own, higher limits before there is a request.

use std::time::Duration;

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
    web::Bytes,
};
use tokio::time::timeout;

/// Maximum length of path and query, in bytes. RFC 9110 asks for at least 8,000.
const MAX_URI_BYTES: usize = 8 * 1024;

/// Maximum number of headers. A browser behind two proxies sends about thirty.
const MAX_HEADERS: usize = 64;

/// Maximum length of all header names and values, in bytes. Browsers keep cookies of up to 4 KiB each.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Maximum length of a body, in bytes. Plenty for forms; raise it for uploads. [`crate::app`] gives it to actix-web.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Time limit for a body, counted from the end of the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers 414, 431, 413 or 408 to a request beyond the limits. Reads the body before anything else waits for it, and
/// passes it on.
pub async fn request_limits(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(status) = too_large(&request) {
        return Ok(refuse(request, status));
    }
    if !matches!(request.parts().1, Payload::None) {
        match timeout(BODY_TIMEOUT, request.extract::<Bytes>()).await {
            Ok(Ok(body)) => request.set_payload(Payload::from(body)),
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

/// Closes the connection: the rest of the body may still arrive, and would be taken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse<BoxBody> {
    tracing::debug!(status = status.as_u16(), "refused a request for its size or its speed");
    request.into_response(HttpResponse::build(status).force_close().finish())
}
