//! What the sessions of this app contain, and their cookie. No other file knows the names of these values.
//!
//! actix-session takes the first cookie with its name, and knows only one secret. But browsers may send several such
//! cookies, or one that was encrypted with an old secret. So [`choose_cookie`] runs first.

use std::time::Instant; // demo

use actix_session::SessionMiddleware;
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::{PgSessionStore, SessionId, Typed};
use actix_web::HttpMessage; // demo
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time::Duration};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, dev::ServiceRequest, web::Data};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid; // demo

use crate::{Config, Error, secret::SecretKeys};

/// Maximum number of valid cookies to look up. A browser has at most two: one with a domain, and one without.
const MAX_CANDIDATES: usize = 4;

/// The name of the only value that a login keeps in its session. Only `accounts/member.rs` writes it.
pub const LOGIN: &str = "login"; // accounts

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

/// Returns the store of this deployment. Its sweep shortens sessions that exceed the current settings.
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

    /// Returns the layer that loads the session from any store, and saves it when the handler is done.
    ///
    /// Closing the browser deletes the cookie, except after a remembered login. The database decides when the session
    /// ends.
    pub fn middleware<S: SessionStore>(&self, store: S) -> SessionMiddleware<S> {
        SessionMiddleware::builder(store, self.keys.current().clone())
            .cookie_name(self.name.to_owned())
            .cookie_secure(self.secure)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Lax)
            .cookie_path("/".to_owned())
            .cookie_content_security(CookieContentSecurity::Private)
            // The store resets the idle timer itself, so no `update_ttl` is needed.
            .session_lifecycle(BrowserSession::default().state_ttl(self.idle_timeout))
            .build()
    }

    /// Returns the cookie that makes a browser delete its session cookie.
    pub fn removal(&self) -> Cookie<'static> {
        let cookie = Cookie::build(self.name, "").path("/").secure(self.secure).http_only(true);
        let mut cookie = cookie.same_site(SameSite::Lax).finish();
        cookie.make_removal();
        cookie
    }

    /// Returns whether nothing has to be chosen, because there is only one cookie with this name, and only one secret.
    fn is_alone_in(&self, headers: &HeaderMap) -> bool {
        let mut lines =
            headers.get_all(header::COOKIE).map(|line| str::from_utf8(line.as_bytes()).unwrap_or("%"));
        let line = lines.next().unwrap_or_default();
        let names = line.split(';').map(|pair| pair.trim_ascii().split('=').next().unwrap_or_default());
        // actix-web decodes names and trims Unicode white space, so `__%48ost-id` would have this name, too.
        let is_plain = names.clone().all(|name| name.bytes().all(|b| b.is_ascii_graphic() && b != b'%'));
        let is_alone = names.filter(|name| *name == self.name).count() == 1 && lines.next().is_none();
        is_plain && is_alone && self.keys.all().len() == 1
    }

    /// Returns the valid session cookies among these headers, and all other cookies, separated by `; `.
    pub fn valid_in(&self, headers: &HeaderMap) -> (Vec<ValidCookie>, String) {
        let (mut valid, mut others) = (Vec::<ValidCookie>::new(), Vec::new());
        let pairs =
            headers.get_all(header::COOKIE).flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
        // A single byte that isn't UTF-8 would make actix-web drop all cookies.
        let pairs = pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok());
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let cookie = Cookie::parse_encoded(pair).ok().filter(|cookie| cookie.name() == self.name);
            // Browsers don't protect a name that is this name only when it is decoded or trimmed.
            let value = pair.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('='));
            match (&cookie, value, cookie.as_ref().and_then(|cookie| self.decrypt(cookie.value()))) {
                (None, ..) | (_, Some(_), None) => others.push(pair),
                (_, Some(value), Some((key, is_current)))
                    if valid.len() < MAX_CANDIDATES && valid.iter().all(|known| known.key != key) =>
                {
                    let pair = if is_current { pair.to_owned() } else { self.encrypt(&key) };
                    valid.push(ValidCookie { value: value.to_owned(), key, pair });
                }
                _ => {}
            }
        }
        (valid, others.join("; "))
    }

    // accounts, demo: begin
    /// Returns the key in a cookie's value, if it is valid. Its session may have ended.
    pub fn key_in(&self, value: &str) -> Option<String> {
        let cookie = Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?;
        self.decrypt(cookie.value()).map(|(key, _)| key)
    }
    // accounts, demo: end

    /// Decrypts a cookie's value, and returns whether the value was encrypted with the current secret.
    fn decrypt(&self, value: &str) -> Option<(String, bool)> {
        let with =
            |key: &Key| CookieJar::new().private(key).decrypt(Cookie::new(self.name, value.to_owned()));
        let mut keys = self.keys.all().iter().enumerate();
        keys.find_map(|(secret, key)| Some((with(key)?.value().to_owned(), secret == 0)))
    }

    /// Returns `name=value`, encrypted with the current secret.
    fn encrypt(&self, key: &str) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(self.keys.current()).add(Cookie::new(self.name, key.to_owned()));
        jar.get(self.name).map(|cookie| cookie.encoded().to_string()).unwrap_or_default()
    }
}

/// A session cookie that one of the secrets decrypts. Its session may have ended.
#[derive(Clone)]
pub struct ValidCookie {
    /// The encrypted value.
    pub value: String,
    /// The session's key.
    pub key: String,
    /// `name=value`, encrypted with the current secret. The browser's copy doesn't change.
    pair: String,
}

impl ValidCookie {
    /// Returns the cookie of this request, if it has one. Decrypts it each time.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let cookie = request.app_data::<Data<SessionCookie>>().expect("all apps have it");
        cookie.valid_in(request.headers()).0.pop()
    }

    /// Returns the ID of the session's row, or `None` if the store can't have created such a key.
    pub fn session_id(&self) -> Option<SessionId> {
        SessionId::of(&self.key)
    }
}

/// Puts the chosen session cookie in front of the `others`, because actix-session takes the first one with its name.
pub fn put_first(chosen: Option<&ValidCookie>, others: &str, headers: &mut HeaderMap) {
    let pairs = chosen.map(|cookie| &*cookie.pair).into_iter().chain([others]);
    let line = pairs.filter(|pair| !pair.is_empty()).collect::<Vec<_>>().join("; ");
    headers.remove(header::COOKIE);
    let line = HeaderValue::from_bytes(line.as_bytes()).into_iter().filter(|line| !line.is_empty());
    line.for_each(|line| headers.append(header::COOKIE, line));
}

// demo: begin
/// In the extensions of a request.
struct LookupStart(Instant);

/// Returns how long ago the lookup of this request's session began.
pub fn since_lookup(request: &HttpRequest) -> std::time::Duration {
    request.extensions().get().map(|LookupStart(start)| start.elapsed()).unwrap_or_default()
}
// demo: end

/// Chooses the request's session cookie. If several are valid, this is the first one whose session is live. No
/// earlier layer may ask the request for its cookies, because actix-web parses them only once.
///
/// # Errors
/// Returns [`Error::Unavailable`] if several are valid and the database can't say which one is live.
pub async fn choose_cookie(request: &mut ServiceRequest) -> Result<(), Error> {
    if !request.headers().contains_key(header::COOKIE) {
        return Ok(());
    }
    request.extensions_mut().insert(LookupStart(Instant::now())); // demo
    let cookie = request.app_data::<Data<SessionCookie>>().expect("all apps have it");
    if cookie.is_alone_in(request.headers()) {
        return Ok(());
    }
    let (mut valid, others) = cookie.valid_in(request.headers());
    if valid.len() > 1 {
        let store = request.app_data::<Data<PgSessionStore>>().expect("all apps have it");
        let is_live = async |cookie: &ValidCookie| match SessionKey::try_from(cookie.key.clone()) {
            Ok(key) => store.load(&key).await.map(|session| session.is_some()),
            Err(_) => Ok(false),
        };
        let live = try_join_all(valid.iter().map(is_live)).await;
        let live = live.map_err(|error| Error::Unavailable(error.to_string()))?;
        valid.swap(0, live.into_iter().position(|is_live| is_live).unwrap_or(0));
    }
    put_first(valid.first(), &others, request.headers_mut());
    Ok(())
}
