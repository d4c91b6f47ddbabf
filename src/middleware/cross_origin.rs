//! Refuses what another site makes a browser send: cross-site request forgery.
//!
//! The browser says where a request comes from, so no token is needed in the forms: `Sec-Fetch-Site` in every current
//! browser, `Origin` in older ones. See the [OWASP cheat sheet on CSRF][owasp], "Fetch Metadata".
//!
//! [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
};

use super::trusted_proxies::ClientAddress;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Answers 403 to an unsafe method that does not come from one of our own pages. A client that says nothing of its
/// origin is refused as well: a script can add `Sec-Fetch-Site: same-origin`, a page of another site can not.
///
/// # Errors
/// Those of the request.
pub async fn cross_origin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method().is_safe() || is_same_origin(request.request()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let client = ClientAddress::of(request.request()).0;
    tracing::warn!(%client, "refused a cross-origin request");
    Ok(request.into_response(HttpResponse::Forbidden().finish()))
}

/// Where the browser says that a request comes from, after [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/).
/// `None` where it does not say.
pub fn fetch_site(request: &HttpRequest) -> Option<&[u8]> {
    request.headers().get(SEC_FETCH_SITE).map(|site| site.as_bytes())
}

fn is_same_origin(request: &HttpRequest) -> bool {
    if let Some(site) = fetch_site(request) {
        return site == b"same-origin";
    }
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    // Only the host and port: behind a proxy that ends TLS we do not see the scheme that the visitor sees. What the proxy
    // says of the host is believed where it is trusted: `trusted_proxies` has left nobody else's word.
    let host = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_some_and(|host| host.eq_ignore_ascii_case(request.connection_info().host()))
}
