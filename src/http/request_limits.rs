//! Refuses requests that are too large, too slow, or not for this server, before any work is done for them.
//!
//! actix-http has its own, higher limits, and enforces them first.

use std::cmp::Reverse;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, RequestHead, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{
        ConnectionType, Method, StatusCode,
        header::{self, HeaderValue},
        uri::Authority,
    },
    middleware::Next,
    web::{Bytes, BytesMut, Data},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{
    limits::{BODY_TIME, MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_URI_BYTES},
    session::SessionCookie,
};

/// Returns 400, 405, 408, 413, 414 or 431 for a request that exceeds the limits. Otherwise, reads the whole body and
/// passes it on.
///
/// # Errors
/// Returns the errors of `next`.
pub async fn request_limits(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(status) = problem(&request) {
        let mut response = refuse(request, status);
        if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            delete_large_cookies(&mut response);
        }
        return Ok(response);
    }
    let is_upgrade = request.head().upgrade();
    if !matches!(request.parts().1, Payload::None) {
        match timeout(BODY_TIME, read_body(&mut request)).await {
            Ok(Ok(body)) => {
                // The body is decompressed now.
                request.headers_mut().remove(header::CONTENT_ENCODING);
                request.set_payload(Payload::from(body));
            }
            Ok(Err(error)) => return Ok(refuse(request, error.as_response_error().status_code())),
            Err(_) => return Ok(refuse(request, StatusCode::REQUEST_TIMEOUT)),
        }
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if is_upgrade {
        // actix-http took the rest of the connection for the body.
        close(response.response_mut());
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
    } else if !has_valid_host(request.head()) {
        Some(StatusCode::BAD_REQUEST)
    } else if request.method() == Method::CONNECT {
        // A tunnel has no body, and no route accepts one.
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else {
        None
    }
}

/// Makes the browser delete the largest cookies, if they are the problem. Otherwise, no page on this site
/// would load again. The session cookie stays.
fn delete_large_cookies(response: &mut ServiceResponse<BoxBody>) {
    let request = response.request();
    let session = request.app_data::<Data<SessionCookie>>().map_or("", |cookie| cookie.name);
    let lines =
        request.headers().get_all(header::COOKIE).map(|line| String::from_utf8_lossy(line.as_bytes()));
    let cookies = lines.collect::<Vec<_>>().join(";");
    if cookies.len() < MAX_HEAD_BYTES / 2 {
        return;
    }
    let mut cookies: Vec<&str> = cookies.split(';').map(str::trim).collect();
    cookies.sort_unstable_by_key(|cookie| Reverse(cookie.len()));
    let names = cookies.into_iter().filter_map(|cookie| cookie.split_once('=')).map(|(name, _)| name);
    // Few, because proxies also limit the headers of a response.
    for name in names.filter(|name| *name != session && name.len() < 100).take(16) {
        // Browsers accept `__Host-` and `__Secure-` only for secure cookies.
        let secure = if name.starts_with("__") { "; Secure" } else { "" };
        if let Ok(removal) = HeaderValue::from_str(&format!("{name}=; Max-Age=0; Path=/{secure}")) {
            response.headers_mut().append(header::SET_COOKIE, removal);
        }
    }
}

/// Reads a body. With `Upgrade: websocket`, actix-http passes on everything that follows as the body, but the body is as
/// long as `Content-Length` says ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-7.8)).
async fn read_body(request: &mut ServiceRequest) -> Result<Bytes, Error> {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    if !request.head().upgrade() || is_chunked {
        return request.extract::<Bytes>().await;
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    if length > MAX_BODY_BYTES {
        return Err(PayloadError::Overflow.into());
    }
    let mut payload = request.take_payload();
    let mut body = BytesMut::new();
    while body.len() < length {
        body.extend_from_slice(&payload.next().await.ok_or(PayloadError::Incomplete(None))??);
    }
    body.truncate(length);
    Ok(body.freeze())
}

/// Closes the connection, because the rest of the body may still arrive and would be mistaken for the next request.
fn refuse(request: ServiceRequest, status: StatusCode) -> ServiceResponse<BoxBody> {
    tracing::debug!(status = status.as_u16(), "refused a request");
    let mut response = HttpResponse::new(status);
    close(&mut response);
    request.into_response(response)
}

fn close(response: &mut HttpResponse) {
    response.head_mut().set_connection_type(ConnectionType::Close);
}

/// Returns whether the `Host` header is valid. If it isn't, RFC 9112, section 3.2, requires a 400. actix-http refuses
/// requests that lack this header or contain more than one.
///
/// A target such as `http://example.com/` also names a host. Proxies may use either one, so both must be the same.
fn has_valid_host(request: &RequestHead) -> bool {
    let Some(host) = request.headers.get(header::HOST) else { return true };
    let target = request.uri.authority();
    host.to_str().is_ok_and(|host| {
        is_host(host) && target.is_none_or(|target| target.as_str().eq_ignore_ascii_case(host))
    })
}

/// Returns whether this is a name or an address, perhaps with a port.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    // Without a match, the text begins with a user name.
    let port = text.strip_prefix(authority.host()).filter(|_| !authority.host().is_empty());
    port.is_some_and(|port| match port.strip_prefix(':') {
        Some(number) => number.is_empty() || number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    })
}
