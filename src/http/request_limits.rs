//! Refuses requests that are too large, too slow, or not for this server. actix-http's own limits are higher.

use std::cmp::Reverse;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, CONTENT_LENGTH, HeaderValue, UPGRADE};
use actix_web::http::{ConnectionType, Method, StatusCode, uri::Authority};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, Result, middleware::Next};
use tokio::time::timeout;

use crate::limits::{BODY_TIME, MAX_HEAD_BYTES, MAX_HEADERS, MAX_URI_BYTES};
use crate::{Config, session::cookie_name};

/// Returns 400, 405, 408, 413, 414 or 431 for a request that exceeds the limits. Otherwise, passes on the whole body.
pub async fn request_limits(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse> {
    if let Some(status) = problem(&request) {
        return Ok(refuse(request, status));
    }
    let headers = request.headers();
    let is_upgrade = headers.contains_key(UPGRADE);
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
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
    let mut response = next.call(request).await?;
    if is_upgrade {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn problem(request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    // actix-http would ignore the body of a WebSocket request. Browsers never send one.
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    let ignores_body = headers.contains_key(CONTENT_LENGTH) && headers.get_all(UPGRADE).any(is_websocket);
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI_BYTES) {
        Some(StatusCode::URI_TOO_LONG)
    } else if headers.len() > MAX_HEADERS || head > MAX_HEAD_BYTES {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if !has_valid_host(request.head()) || ignores_body {
        Some(StatusCode::BAD_REQUEST)
    } else if request.method() == Method::CONNECT {
        // CONNECT asks for a tunnel, so it has no body, and no route accepts it.
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else {
        None
    }
}

/// Closes the connection, because the rest of the body may still arrive and would be mistaken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse {
    tracing::debug!(status = status.as_u16(), "refused a request");
    let mut response = HttpResponse::new(status);
    response.head_mut().set_connection_type(ConnectionType::Close);
    let cookies = request.headers().get_all(header::COOKIE).map(HeaderValue::len).sum::<usize>();
    if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE && cookies >= MAX_HEAD_BYTES / 2 {
        delete_largest_cookies(&request, &mut response);
    }
    request.into_response(response)
}

/// Deletes the browser's largest cookies, except for the session's. Otherwise, no page on this site would load again.
fn delete_largest_cookies(request: &ServiceRequest, response: &mut HttpResponse) {
    let session = cookie_name(request.app_data::<Data<Config>>().expect("all apps have it"));
    let lines = request.headers().get_all(header::COOKIE);
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
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
}

/// Returns whether the `Host` header is valid (RFC 9112, section 3.2), and the same as the target's host, as in
/// `GET http://example.com/`. actix-http refuses requests without the header or with several.
fn has_valid_host(request: &RequestHead) -> bool {
    let Some(header) = request.headers.get(header::HOST) else { return true };
    let text = header.to_str().unwrap_or_default();
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let host = authority.host();
    let has_port = authority.port_u16().is_some() || text.strip_suffix(':') == Some(host);
    let is_host = !host.is_empty() && !text.contains('@') && (has_port || text == host);
    is_host && request.uri.authority().is_none_or(|target| target.as_str().eq_ignore_ascii_case(text))
}
