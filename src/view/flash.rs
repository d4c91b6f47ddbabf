//! A message that the next page shows once, such as "You are logged out". A cookie carries only its name across the
//! redirect, so a planted cookie can't put text on a page.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, web::Data};

use crate::{Config, fetch_metadata::is_seen};

/// A message. To add one, list a new static in `ALL`.
pub struct Flash {
    name: &'static str,
    pub message: &'static str,
    pub explanation: &'static str,
}

pub static LOGGED_OUT: Flash = Flash {
    name: "logged-out",
    message: "You are logged out.",
    explanation: "The session was deleted from the database. Its cookie and all copies of it are now invalid.",
};

// accounts: begin
pub static SESSIONS_ENDED: Flash = Flash {
    name: "sessions-ended",
    message: "You have been logged out there.",
    explanation: "The cookie of each session that you ended is now invalid.",
};

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
        cookie(request, self.name, Duration::minutes(1))
    }

    /// Returns the message for this request, if it has one and a person sees the page.
    pub fn of(request: &HttpRequest) -> Option<&'static Self> {
        let cookie = request.cookie(Self::forget(request).name()).filter(|_| is_seen(request))?;
        ALL.iter().copied().find(|flash| flash.name == cookie.value())
    }

    /// Returns an empty cookie that expires after a second. A removal would be simpler, but curl 7.88 ignores it if the
    /// response sets another cookie after it.
    pub fn forget(request: &HttpRequest) -> Cookie<'static> {
        cookie(request, "", Duration::SECOND)
    }
}

fn cookie(request: &HttpRequest, value: &'static str, max_age: Duration) -> Cookie<'static> {
    let secure = request.app_data::<Data<Config>>().is_none_or(|config| config.cookie_secure);
    let name = if secure { "__Host-flash" } else { "flash" };
    let cookie = Cookie::build(name, value).path("/").secure(secure).http_only(true);
    cookie.same_site(SameSite::Lax).max_age(max_age).finish()
}
