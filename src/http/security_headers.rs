//! Security headers for every response, error pages included. The values follow [OWASP's cheat
//! sheet](https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html).

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ResponseHead, ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use crate::{Config, readiness::Readiness};

/// Pages load styles, scripts and images from this app only, and forms post to it. Inline code is forbidden, so text
/// that is injected into a page can't run. Lighthouse audits need `connect-src`, because they fetch `/robots.txt`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (
        header::PERMISSIONS_POLICY,
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Two years, as recommended by hstspreload.org. Subdomains are left out, because they may belong to other apps.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000";

/// Adds the headers to every response. A response without a `Cache-Control` header must not be cached. While the app is
/// stopping, the response also closes its connection.
pub async fn security_headers(
    config: Data<Config>,
    readiness: Data<Readiness>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let secure = config.cookie_secure;
    let mut outcome = next.call(request).await;
    match &mut outcome {
        Ok(response) => apply(response.response_mut().head_mut(), secure, readiness.is_stopping()),
        // An error only becomes a response after it has passed through all layers.
        Err(error) => error.add_response_mapper(move |mut response| {
            apply(response.head_mut(), secure, readiness.is_stopping());
            response
        }),
    }
    outcome
}

fn apply(head: &mut ResponseHead, secure: bool, is_stopping: bool) {
    let headers = head.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if secure {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT_SECURITY));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_stopping {
        head.set_connection_type(ConnectionType::Close);
    }
}
