//! What the sessions of this app contain, and their cookie. No other file knows the names of these values.

use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
};
use actix_session_postgres::{Guard, PgSessionStore, Typed, guard};
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid; // demo

use crate::{Config, secret::SecretKeys};

/// The session of a request. Without a valid cookie, it is empty. Empty sessions are not stored.
pub type Session = Typed<SessionData>;

/// The contents of a session. To store something else, add a field.
///
/// Each field is stored in the `state` column, such as `{"theme":"dark"}`. Fields that are `None` are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionData {
    /// The anonymous visitor whose visits are counted. Only the first visit to `/` sets it.
    pub visitor_id: Option<Uuid>, // demo
}

/// Returns the store of this deployment. Its sweep shortens sessions that outlast the present settings.
pub fn store(config: &Config, pool: &PgPool) -> PgSessionStore {
    PgSessionStore::new(pool.clone())
        .max_age(config.session_max_age)
        .limits(config.session_idle_timeout, config.session_max_age)
        .remembered_limits(config.remember_idle_timeout, config.remember_max_age) // accounts
}

/// The session cookie of this deployment.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    /// `__Host-id`, or `id` over plain HTTP. Browsers only accept the [prefix][rfc] on a `Secure` cookie that this host
    /// itself has set.
    ///
    /// [rfc]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
    pub name: &'static str,
    /// Whether browsers send it over HTTPS only.
    pub secure: bool,
    /// The keys that encrypt and decrypt it.
    pub keys: SecretKeys,
    idle_timeout: Duration,
}

impl SessionCookie {
    /// Creates the cookie for these settings.
    pub fn new(config: &Config) -> Self {
        Self {
            name: if config.cookie_secure { "__Host-id" } else { "id" },
            secure: config.cookie_secure,
            keys: config.session_secret.clone(),
            idle_timeout: config.session_idle_timeout.try_into().unwrap_or(Duration::MAX),
        }
    }

    /// Returns the layer that loads the session, and saves it when the handler is done.
    ///
    /// The cookie has no `Max-Age`, except for a remembered login. The database decides when a session ends, and the
    /// browser deletes the cookie when it is closed.
    pub fn middleware(&self, store: PgSessionStore) -> Guard {
        let middleware = SessionMiddleware::builder(store, self.keys.current().clone())
            .cookie_name(self.name.to_owned())
            .cookie_secure(self.secure)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Lax)
            .cookie_path("/".to_owned())
            .cookie_content_security(CookieContentSecurity::Private)
            // The store resets the idle timer itself, so no `update_ttl` is needed.
            .session_lifecycle(BrowserSession::default().state_ttl(self.idle_timeout))
            .build();
        guard(middleware)
    }

    /// Returns the cookie that makes a browser delete its session cookie.
    pub fn removal(&self) -> Cookie<'static> {
        let cookie = Cookie::build(self.name, "").path("/").secure(self.secure).http_only(true);
        let mut cookie = cookie.same_site(SameSite::Lax).finish();
        cookie.make_removal();
        cookie
    }
}
