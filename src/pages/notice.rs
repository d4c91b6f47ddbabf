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

fn name(secure: bool) -> &'static str {
    if secure { "__Host-notice" } else { "notice" }
}

fn cookie(secure: bool) -> Cookie<'static> {
    Cookie::build(name(secure), "logged-out")
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
    request.cookie(name(secure)).is_some() && is_seen(request)
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
