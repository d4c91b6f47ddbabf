//! The notice after a logout, shown once. A cookie carries it over the redirect and not the address, so that nobody can
//! be sent a link that says so.

use actix_web::{
    Error, HttpRequest,
    body::MessageBody,
    cookie::{Cookie, SameSite, time::Duration},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use super::is_seen;
use crate::middleware::session_cookie::SessionCookie;

fn cookie(secure: bool) -> Cookie<'static> {
    let name = if secure { "__Host-notice" } else { "notice" };
    Cookie::build(name, "logged-out")
        .path("/")
        .secure(secure)
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish()
}

/// The cookie that a logout sends along; forgotten after a minute, should nobody come to see the notice.
pub fn logged_out(secure: bool) -> Cookie<'static> {
    let mut cookie = cookie(secure);
    cookie.set_max_age(Duration::minutes(1));
    cookie
}

/// Whether this request comes right after a logout, and somebody is there to see its page.
pub fn is_due(request: &HttpRequest, secure: bool) -> bool {
    is_seen(request) && request.cookie(cookie(secure).name()).is_some()
}

/// Has the browser forget the cookie once the notice was on a page. A middleware, so that this cookie comes after the
/// session's: curl 7.88 takes a removal back when another cookie follows it.
///
/// # Errors
/// Those of the request.
pub async fn mark_shown(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let secure = request.app_data::<Data<SessionCookie>>().expect("app() registers it").secure;
    let mut response = next.call(request).await?;
    // Not asked before: actix-web keeps what it has parsed, and `session_cookie` has yet to bring order into it.
    if response.status().is_success() && is_due(response.request(), secure) {
        response.response_mut().add_removal_cookie(&cookie(secure))?;
    }
    Ok(response)
}
