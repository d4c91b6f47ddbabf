//! What a request may weigh, and how long its body may take: so that nobody fills our memory, or holds a connection by
//! sending nothing.
//!
//! actix-http has limits of its own, which it enforces before there is a request to answer with a page: 96 headers and
//! 128 KiB of head (431), 64 KiB of address (400), a head that takes more than [`crate::server`] allows (408).

use std::time::Duration;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web::BytesMut,
};
use futures_util::StreamExt;

/// Bytes of an address, path and query. RFC 9110 asks for at least 8,000.
const MAX_URI_BYTES: usize = 8 * 1024;

/// Headers of a request. A browser behind two proxies sends about thirty.
const MAX_HEADERS: usize = 64;

/// Bytes of all names and values, the cookies among them. Browsers keep up to 4 KiB a cookie.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Bytes of a body. Our only form has no fields; a copy that takes uploads wants more, on that route.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// From the end of the head to the end of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers 414, 431, 413 and 408. A body is read here, before anything else waits for it or a session is loaded, and
/// then handed on whole.
///
/// # Errors
/// Those of the request.
pub async fn request_limits(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(status) = too_large(&request) {
        return Ok(refuse(request, status));
    }
    if !has_body(&request) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    match tokio::time::timeout(BODY_TIMEOUT, read(request.take_payload())).await {
        Ok(Ok(body)) => {
            request.set_payload(Payload::from(body.freeze()));
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Ok(Err(status)) => Ok(refuse(request, status)),
        Err(_) => Ok(refuse(request, StatusCode::REQUEST_TIMEOUT)),
    }
}

fn too_large(request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let body =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI_BYTES) {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() > MAX_HEADERS || head > MAX_HEAD_BYTES {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if body.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    } else {
        None
    }
}

fn has_body(request: &ServiceRequest) -> bool {
    !matches!(request.parts().1, Payload::None)
}

async fn read(mut payload: Payload) -> Result<BytesMut, StatusCode> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The rest of the body may still be on its way, and would be taken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse<BoxBody> {
    tracing::debug!(status = status.as_u16(), "refused a request for its size or its pace");
    request.into_response(HttpResponse::build(status).force_close().finish())
}
