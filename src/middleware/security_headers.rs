//! Tells the browser what it may do with our answers: on every response, errors included.
//!
//! The values follow the [OWASP HTTP headers cheat sheet][owasp].
//!
//! [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::Config;

/// Pages use one stylesheet, one script and one icon, all from here, and forms that post here; nothing is inline, so
/// that text that finds its way into a page can't become code. Nothing connects either, but an audit by Lighthouse, which
/// reads `/robots.txt` under the policy of the page.
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

/// Two years, as the preload list asks; subdomains are theirs to decide.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000";

/// Adds the headers to whatever comes back. An answer that does not say how long it may be kept is not kept at all: it
/// may depend on a session.
///
/// # Errors
/// Those of the request, with the headers on the response that they become.
pub async fn security_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let secure = request.app_data::<Data<Config>>().is_none_or(|config| config.cookie_secure);
    match next.call(request).await {
        Ok(mut response) => {
            apply(response.headers_mut(), secure);
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                apply(response.headers_mut(), secure);
                response
            });
            Err(error)
        }
    }
}

fn apply(headers: &mut HeaderMap, secure: bool) {
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
}
