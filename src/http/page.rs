//! What only pages have: protection against cross-site requests, a deadline, and the visitor's session cookie.

use std::sync::{Once, atomic::Ordering};
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpRequest, HttpResponse, middleware::Next, web::Data};

use super::{client::client_address, request_log::truncated};
use crate::fetch_metadata::{fetch_site, is_same_origin, origin};
use crate::{Config, error, readiness::Readiness, session::choose_cookie};

/// Returns 403 for an unsafe request from another site's page, and 503 if the schema isn't up to date yet or the page
/// isn't ready within `limit`. Its statements may have taken effect anyway. Keeps only one session cookie.
pub async fn page(
    limit: Duration,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    if !request.method().is_safe() && !is_same_origin(request.request()) {
        tracing::warn!(
            client = %client_address(request.request()),
            site = fetch_site(request.request()).map(|site| truncated(site, 32)),
            origin = origin(request.request()).map(|origin| truncated(origin, 256)),
            host = truncated(request.connection_info().host(), 256),
            "refused a cross-origin request"
        );
        return Ok(request.into_response(HttpResponse::Forbidden().finish()));
    }
    if !request.app_data::<Data<Readiness>>().expect("all apps have it").migrated.load(Ordering::Relaxed) {
        return Err(error::Error::Starting.into());
    }
    warn_of_plain_http(request.request());
    let answer = async {
        choose_cookie(&mut request).await?;
        next.call(request).await
    };
    tokio::time::timeout(limit, answer).await.map_err(|_| error::Error::Timeout(limit))?
}

/// Logs one warning if a page is requested over plain HTTP, where browsers reject its `Secure` cookie.
fn warn_of_plain_http(request: &HttpRequest) {
    static WARNING: Once = Once::new();
    let secure = request.app_data::<Data<Config>>().is_some_and(|config| config.cookie_secure);
    // Browsers send this header over HTTPS and to localhost only.
    if !secure || WARNING.is_completed() || fetch_site(request).is_some() {
        return;
    }
    let info = request.connection_info();
    let host = info.host().trim_end_matches(|c: char| c == ':' || c.is_ascii_digit());
    let is_local = host.starts_with("127.") || host == "[::1]" || host.ends_with("localhost");
    if info.scheme() == "http" && !is_local {
        WARNING.call_once(|| {
            tracing::warn!(host = truncated(host, 256), "a page was requested over plain HTTP, where browsers reject the session cookie. Use HTTPS. If a proxy terminates it, the proxy must be in TRUSTED_PROXIES and send X-Forwarded-Proto");
        });
    }
}
