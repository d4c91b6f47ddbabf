//! Refuses requests that are too large, too slow, or not for this server, before any work is done for them.
//!
//! actix-http has its own, higher limits, and enforces them first.

use std::cmp::Reverse;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, uri::Authority};
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpResponse, middleware::Next};
use tokio::time::timeout;

use crate::limits::{BODY_TIME, MAX_HEAD_BYTES, MAX_HEADERS, MAX_URI_BYTES};
use crate::session::SessionCookie;

/// Returns 400, 405, 408, 413, 414 or 431 for a request that exceeds the limits. Otherwise, reads the whole body and
/// passes it on.
///
/// # Errors
/// Returns the errors of `next`.
pub async fn request_limits(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match problem(&request) {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => return Ok(refuse_headers(request)),
        Some(status) => return Ok(refuse(request, status)),
        None => {}
    }
    let headers = request.headers();
    let is_upgrade = headers.contains_key(header::UPGRADE);
    if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
        match timeout(BODY_TIME, request.extract::<Bytes>()).await {
            Ok(Ok(body)) => {
                // The body is decompressed now.
                request.headers_mut().remove(header::CONTENT_ENCODING);
                request.set_payload(Payload::from(body));
            }
            Ok(Err(error)) => return Ok(refuse(request, error.as_response_error().status_code())),
            Err(_) => return Ok(refuse(request, StatusCode::REQUEST_TIMEOUT)),
        }
    } else {
        // With `Upgrade: websocket`, actix-http would take the rest of the connection for the body.
        request.set_payload(Payload::None);
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if is_upgrade {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn problem(request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI_BYTES) {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() > MAX_HEADERS || head > MAX_HEAD_BYTES {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if !has_valid_host(request.head()) || is_websocket_with_body(headers) {
        Some(StatusCode::BAD_REQUEST)
    } else if request.method() == Method::CONNECT {
        // CONNECT asks for a tunnel, so it has no body, and no route accepts it.
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else {
        None
    }
}

/// Returns whether this is a WebSocket request with a body, which actix-http would ignore. Browsers never send one.
fn is_websocket_with_body(headers: &HeaderMap) -> bool {
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    headers.contains_key(header::CONTENT_LENGTH) && headers.get_all(header::UPGRADE).any(is_websocket)
}

/// If the cookies are too large, makes the browser delete the largest ones, except for the session's. Otherwise, no
/// page on this site would load again.
fn refuse_headers(request: ServiceRequest) -> ServiceResponse<BoxBody> {
    let session = request.app_data::<Data<SessionCookie>>().expect("all apps have it").name;
    let lines = request.headers().get_all(header::COOKIE);
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect();
    let mut response = refuse(request, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    if lines.iter().map(String::len).sum::<usize>() < MAX_HEAD_BYTES / 2 {
        return response;
    }
    let cookies = lines.iter().flat_map(|line| line.split(';')).filter_map(|cookie| cookie.split_once('='));
    let mut cookies: Vec<_> = cookies.map(|(name, value)| (Reverse(value.len()), name.trim())).collect();
    cookies.sort_unstable();
    let names = cookies.into_iter().map(|(_, name)| name).filter(|name| *name != session && name.len() < 100);
    // Not all of them, because proxies also limit the headers of a response.
    for name in names.take(16) {
        // Browsers accept `__Host-` and `__Secure-` only for secure cookies.
        let secure = if name.starts_with("__") { "; Secure" } else { "" };
        if let Ok(removal) = format!("{name}=; Max-Age=0; Path=/{secure}").parse() {
            response.headers_mut().append(header::SET_COOKIE, removal);
        }
    }
    response
}

/// Closes the connection, because the rest of the body may still arrive and would be mistaken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse<BoxBody> {
    tracing::debug!(status = status.as_u16(), "refused a request");
    let mut response = HttpResponse::new(status);
    response.head_mut().set_connection_type(ConnectionType::Close);
    request.into_response(response)
}

/// Returns whether the `Host` header is valid (RFC 9112, section 3.2). actix-http refuses requests without it or with
/// several. If the target also names a host, as in `http://example.com/`, the two must match.
fn has_valid_host(request: &RequestHead) -> bool {
    let Some(host) = request.headers.get(header::HOST) else { return true };
    let target = request.uri.authority();
    host.to_str().is_ok_and(|host| {
        is_host(host) && target.is_none_or(|target| target.as_str().eq_ignore_ascii_case(host))
    })
}

/// Returns whether this is a name or an address, perhaps with a port, and without a user name.
fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok_and(|authority| {
        let host = authority.host();
        let has_port = authority.port_u16().is_some() || text.strip_suffix(':') == Some(host);
        !host.is_empty() && !text.contains('@') && (has_port || text == host)
    })
}
