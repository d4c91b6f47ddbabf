//! A message that the next page shows once, such as "You are logged out".
//!
//! A cookie carries it across the redirect. It contains only a name, so a planted cookie can't put text on a page.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, web::Data};

use crate::fetch_metadata::is_seen;
use crate::session::SessionCookie;

/// A message. To add one, add a static and list it in `ALL`.
#[derive(Debug)]
pub struct Flash {
    /// What its cookie contains.
    pub name: &'static str,
    /// What happened.
    pub message: &'static str,
    /// What it means.
    pub explanation: &'static str,
}

/// Shown after a logout.
pub static LOGGED_OUT: Flash = Flash {
    name: "logged-out",
    message: "You are logged out.",
    explanation: "The session was deleted from the database. Its cookie and all copies of it are now invalid.",
};

// accounts: begin
/// Shown after a member has ended other sessions.
pub static SESSIONS_ENDED: Flash = Flash {
    name: "sessions-ended",
    message: "You have been logged out there.",
    explanation: "The cookie of each session that you ended is now invalid.",
};

/// Shown after a member has changed the password.
pub static PASSWORD_CHANGED: Flash = Flash {
    name: "password-changed",
    message: "Your password has been changed.",
    explanation: "You have been logged out everywhere else.",
};
// accounts: end

static ALL: &[&Flash] = &[
    &LOGGED_OUT,
    &SESSIONS_ENDED,   // accounts
    &PASSWORD_CHANGED, // accounts
];

impl Flash {
    /// Returns the cookie that makes the next page show this message. It expires after a minute.
    pub fn cookie(&self, request: &HttpRequest) -> Cookie<'static> {
        let mut cookie = cookie(request, self.name);
        cookie.set_max_age(Duration::minutes(1));
        cookie
    }

    /// Returns the message for this request, if it has one and a person sees the page.
    pub fn of(request: &HttpRequest) -> Option<&'static Self> {
        let cookie = request.cookie(cookie(request, "").name()).filter(|_| is_seen(request))?;
        ALL.iter().copied().find(|flash| flash.name == cookie.value())
    }

    /// Returns an empty cookie that replaces the message's cookie and expires after a second. Removing the cookie would
    /// be simpler, but curl 7.88 ignores a removal if the response sets another cookie after it.
    pub fn forget(request: &HttpRequest) -> Cookie<'static> {
        let mut cookie = cookie(request, "");
        cookie.set_max_age(Duration::SECOND);
        cookie
    }
}

fn cookie(request: &HttpRequest, value: &'static str) -> Cookie<'static> {
    let secure = request.app_data::<Data<SessionCookie>>().is_none_or(|cookie| cookie.secure);
    let name = if secure { "__Host-flash" } else { "flash" };
    Cookie::build(name, value).path("/").secure(secure).http_only(true).same_site(SameSite::Lax).finish()
}
