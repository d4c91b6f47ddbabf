//! What the sessions of this app contain, and their cookie. No other file knows the names of these values.
//!
//! actix-session uses the first session cookie, and only one secret. [`choose_cookie`] runs before it, because browsers
//! may send several session cookies, or one that was encrypted with an old secret.

use actix_session::SessionMiddleware;
use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::{PgSessionStore, Typed};
use actix_web::HttpMessage; // demo
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time::Duration};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, dev::ServiceRequest, web::Data};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid; // demo

use crate::{Config, Error};

/// Maximum number of valid cookies to look up. A browser has at most two: one with a domain, and one without.
const MAX_CANDIDATES: usize = 4;

/// The name of the only value that a login keeps in its session. Only `accounts/member.rs` writes it.
pub const LOGIN: &str = "login"; // accounts

/// The session of a request. Without a valid cookie, it is empty. Empty sessions are not stored.
pub type Session = Typed<SessionData>;

/// The contents of a session. To store another value, add a field. The `state` column contains the fields that aren't
/// `None`, such as `{"theme":"dark"}`.
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

/// Returns the name of the session cookie: `__Host-id`, or `id` over plain HTTP. Browsers accept the prefix only on a
/// `Secure` cookie that this host itself has set (RFC 6265bis, section 4.1.3.2).
pub fn cookie_name(config: &Config) -> &'static str {
    if config.cookie_secure { "__Host-id" } else { "id" }
}

/// Returns the layer that loads the session from `store`, and saves it when the handler is done. Closing the browser
/// deletes the cookie, except after a remembered login.
pub fn middleware<S: SessionStore>(config: &Config, store: S) -> SessionMiddleware<S> {
    let idle_timeout = config.session_idle_timeout.try_into().unwrap_or(Duration::MAX);
    SessionMiddleware::builder(store, config.session_secret.current().clone())
        .cookie_name(cookie_name(config).to_owned())
        .cookie_secure(config.cookie_secure)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Private)
        // The store resets the idle timer itself, so no `update_ttl` is needed.
        .session_lifecycle(BrowserSession::default().state_ttl(idle_timeout))
        .build()
}

/// Returns the cookie that makes a browser delete its session cookie.
pub fn removal(request: &HttpRequest) -> Cookie<'static> {
    let config = request.app_data::<Data<Config>>().expect("all apps have it");
    let cookie = Cookie::build(cookie_name(config), "").path("/").secure(config.cookie_secure);
    cookie.http_only(true).same_site(SameSite::Lax).max_age(Duration::ZERO).finish()
}

/// Returns whether there is nothing to choose, because there is only one cookie with this name, and one secret.
fn is_alone_in(config: &Config, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(COOKIE).map(|line| str::from_utf8(line.as_bytes()).unwrap_or("%"));
    let line = lines.next().unwrap_or_default();
    let names = line.split(';').map(|pair| pair.trim_ascii().split('=').next().unwrap_or_default());
    // actix-web decodes names and trims Unicode white space, so `__%48ost-id` would have this name, too.
    let is_plain = names.clone().all(|name| name.bytes().all(|b| b.is_ascii_graphic() && b != b'%'));
    let is_alone = names.filter(|name| *name == cookie_name(config)).count() == 1 && lines.next().is_none();
    is_plain && is_alone && config.session_secret.all.len() == 1
}

/// Returns the valid session cookies among these headers, and all other cookies, separated by `; `.
pub fn valid_in(config: &Config, headers: &HeaderMap) -> (Vec<ValidCookie>, String) {
    let (mut valid, mut others) = (Vec::<ValidCookie>::new(), Vec::new());
    let pairs = headers.get_all(COOKIE).flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    // A single byte that isn't UTF-8 would make actix-web drop all cookies.
    let pairs = pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok());
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let cookie = Cookie::parse_encoded(pair).ok().filter(|cookie| cookie.name() == cookie_name(config));
        // Browsers don't protect a name that matches only after it is decoded or trimmed.
        let value = pair.strip_prefix(cookie_name(config)).and_then(|rest| rest.strip_prefix('='));
        match (&cookie, value, cookie.as_ref().and_then(|cookie| decrypt(config, cookie.value()))) {
            (None, ..) | (_, Some(_), None) => others.push(pair),
            (_, Some(value), Some((key, is_current)))
                if valid.len() < MAX_CANDIDATES && valid.iter().all(|known| known.key != key) =>
            {
                let pair = if is_current { pair.to_owned() } else { encrypt(config, &key) };
                valid.push(ValidCookie { value: value.to_owned(), key, pair });
            }
            _ => {}
        }
    }
    (valid, others.join("; "))
}

// accounts, demo: begin
/// Returns the key in a cookie's value, if it is valid. Its session may have ended.
pub fn key_in(config: &Config, value: &str) -> Option<String> {
    let cookie = Cookie::parse_encoded(format!("{}={value}", cookie_name(config))).ok()?;
    decrypt(config, cookie.value()).map(|(key, _)| key)
}
// accounts, demo: end

/// Returns a cookie's decrypted value, and whether it was encrypted with the current secret.
fn decrypt(config: &Config, value: &str) -> Option<(String, bool)> {
    let cookie = Cookie::new(cookie_name(config), value.to_owned());
    let with = |key: &Key| CookieJar::new().private(key).decrypt(cookie.clone());
    let mut keys = config.session_secret.all.iter().enumerate();
    keys.find_map(|(secret, key)| Some((with(key)?.value().to_owned(), secret == 0)))
}

/// Returns `name=value`, encrypted with the current secret.
fn encrypt(config: &Config, key: &str) -> String {
    let mut jar = CookieJar::new();
    jar.private_mut(config.session_secret.current()).add(Cookie::new(cookie_name(config), key.to_owned()));
    jar.get(cookie_name(config)).map(|cookie| cookie.encoded().to_string()).unwrap_or_default()
}

/// A session cookie that one of the secrets decrypts. Its session may have ended.
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
        let config = request.app_data::<Data<Config>>().expect("all apps have it");
        valid_in(config, request.headers()).0.pop()
    }
}

/// Puts the chosen session cookie, if any, in front of the `others`.
pub fn put_first(chosen: Option<&ValidCookie>, others: &str, headers: &mut HeaderMap) {
    let line = format!("{}; {others}", chosen.map_or("", |cookie| &*cookie.pair));
    let line = HeaderValue::from_bytes(line.as_bytes()).expect("its parts were in headers");
    headers.insert(COOKIE, line);
}

// demo: begin
/// In the extensions of a request.
struct LookupStart(std::time::Instant);

/// Returns how long ago the lookup of this request's session began.
pub fn since_lookup(request: &HttpRequest) -> std::time::Duration {
    request.extensions().get().map(|LookupStart(start)| start.elapsed()).unwrap_or_default()
}
// demo: end

/// Chooses the request's session cookie. If several are valid, asks the database which one is live, and returns
/// [`Error::Unavailable`] if that fails. No earlier layer may ask for the cookies: actix-web parses them only once.
pub async fn choose_cookie(request: &mut ServiceRequest) -> Result<(), Error> {
    if !request.headers().contains_key(COOKIE) {
        return Ok(());
    }
    request.extensions_mut().insert(LookupStart(std::time::Instant::now())); // demo
    let config = request.app_data::<Data<Config>>().expect("all apps have it");
    if is_alone_in(config, request.headers()) {
        return Ok(());
    }
    let (mut valid, others) = valid_in(config, request.headers());
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
