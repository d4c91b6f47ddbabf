//! What only pages have: protection against cross-site requests, a deadline, and the visitor's session cookie.

use std::{sync::Once, time::Duration};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpRequest, HttpResponse, middleware::Next, web::Data};

use super::{client::ClientAddress, request_log::truncated};
use crate::fetch_metadata::{fetch_site, is_same_origin, origin};
use crate::session::{SessionCookie, choose_cookie};
use crate::{error, readiness::Readiness};

/// Returns 403 for an unsafe request from another site's page, and 503 if the page isn't ready within `limit` or the
/// schema isn't up to date yet. Keeps only one session cookie in the request.
///
/// If the limit is exceeded, the page's statements may or may not have taken effect. Without a limit, a page would wait
/// 15 minutes for an unreachable database.
pub async fn page(
    limit: Duration,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.method().is_safe() && !is_same_origin(request.request()) {
        let site = fetch_site(request.request()).and_then(|site| str::from_utf8(site).ok());
        tracing::warn!(
            client = %ClientAddress::of(request.request()).0,
            site = site.map(|site| truncated(site, 32)),
            origin = origin(request.request()).map(|origin| truncated(origin, 256)),
            host = truncated(request.connection_info().host(), 256),
            "refused a cross-origin request"
        );
        return Ok(request.into_response(HttpResponse::Forbidden().finish()));
    }
    if !request.app_data::<Data<Readiness>>().expect("all apps have it").is_migrated() {
        // The page's statements may not fit the schema.
        return Err(error::Error::Starting.into());
    }
    warn_of_plain_http(request.request());
    let answer = async {
        choose_cookie(&mut request).await?;
        next.call(request).await
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(outcome) => Ok(outcome?.map_into_boxed_body()),
        Err(_) => Err(error::Error::Timeout(limit).into()),
    }
}

/// Logs one warning if a page is requested over plain HTTP. Browsers then reject its `Secure` cookie, so every visit
/// starts a new session.
fn warn_of_plain_http(request: &HttpRequest) {
    static WARNING: Once = Once::new();
    let secure = request.app_data::<Data<SessionCookie>>().is_some_and(|cookie| cookie.secure);
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
