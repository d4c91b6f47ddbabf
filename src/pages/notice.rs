//! The notice after a logout, shown once. A cookie carries it over the redirect and not the address, so that nobody can
//! be sent a link that says so.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
};

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

/// Whether this request comes right after a logout.
pub fn is_due(request: &HttpRequest, secure: bool) -> bool {
    request.cookie(cookie(secure).name()).is_some()
}

/// Has the browser forget the cookie, now that the notice is on the page.
pub fn mark_shown(response: &mut HttpResponse, secure: bool) {
    response.add_removal_cookie(&cookie(secure)).expect("the cookie is a header value");
}
