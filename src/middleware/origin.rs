//! Where a request comes from: which client sent it, and which site's page made the browser send it.
//!
//! Browsers send `Sec-Fetch-Site`, and old ones `Origin`, so forms need no CSRF token. See "Fetch Metadata" in [OWASP's
//! cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::Config;

/// The address of the client, in the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the address of the client that sent `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let found = request.extensions().get().copied();
        found.unwrap_or_else(|| Self(address(request.peer_addr())))
    }
}

/// Finds the client behind trusted proxies. Answers 400 to a request without a valid `Host` header, and 403 to an unsafe
/// request from another site's page.
pub async fn origin(
    config: Data<Config>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let peer = address(request.peer_addr());
    let client = config.trusted_proxies.find_client(request.headers_mut(), peer);
    request.extensions_mut().insert(ClientAddress(client));
    if !http_server::has_valid_host(request.head()) {
        return Ok(request.into_response(HttpResponse::BadRequest().finish()));
    }
    // No page can make a browser send CONNECT, and no route accepts it.
    let is_harmless = request.method().is_safe() || request.method().as_str() == "CONNECT";
    if is_harmless || is_same_origin(request.request()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    tracing::warn!(%client, "refused a cross-origin request");
    Ok(request.into_response(HttpResponse::Forbidden().finish()))
}

/// Returns the `Sec-Fetch-Site` header. It says which site's page made the browser send this request. See
/// [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/).
pub fn fetch_site(request: &HttpRequest) -> Option<&[u8]> {
    request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes)
}

/// A client that sends neither header is refused. A script can add `Sec-Fetch-Site: same-origin`, but a page can't.
fn is_same_origin(request: &HttpRequest) -> bool {
    if let Some(site) = fetch_site(request) {
        return site == b"same-origin";
    }
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    // Compares only host and port: behind a proxy that terminates TLS, the app doesn't see the visitor's scheme.
    let host = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_some_and(|host| host.eq_ignore_ascii_case(request.connection_info().host()))
}

/// A connection without an address, such as a Unix socket, counts as one client.
fn address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical())
}
