//! The session cookie: its name and attributes, and how the app finds it among the cookies that a browser sends.
//!
//! actix-session takes the first cookie with its name and knows only one secret. But a browser may send several cookies
//! with that name, bytes that aren't text, and cookies that were encrypted with an old secret. This layer tries every
//! secret on every cookie with that name. It passes the first valid one on to actix-session and drops the others.

use std::borrow::Cow;

use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    cookie::{Cookie, CookieJar, Key, SameSite, time::Duration},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::{
    config::SecretKeys,
    session::{PgSessionStore, SessionId},
};

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
    keys: SecretKeys,
}

/// The valid session cookie that the browser sent, in the extensions of a request.
#[derive(Clone)]
pub struct PresentedCookie {
    /// The value as the browser sent it, encrypted.
    pub value: String,
    /// The session's key.
    key: String,
}

impl PresentedCookie {
    /// Returns the id of the cookie's row, which may have been deleted.
    pub fn session_id(&self) -> Option<SessionId> {
        SessionId::of(&self.key)
    }
}

/// Keeps only the first valid session cookie in the request. No layer before this one may ask the request for its
/// cookies, because actix-web parses them only once.
pub async fn session_cookie(
    cookie: Data<SessionCookie>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let presented = cookie.select(request.headers_mut());
    let key = presented.as_ref().map(|presented| presented.key.clone());
    presented.map(|presented| request.extensions_mut().insert(presented));
    let mut response = next.call(request).await?;
    if let Some(key) = key {
        cookie.remove_repeated(response.headers_mut(), &key);
    }
    Ok(response)
}

impl SessionCookie {
    /// Creates the cookie. `secure` is [`crate::Config::cookie_secure`].
    pub fn new(secure: bool, keys: SecretKeys) -> Self {
        let name = if secure { "__Host-id" } else { "id" };
        Self { name, secure, keys }
    }

    /// Returns actix-session's middleware for this cookie. The cookie has no `Max-Age`. The database decides when a
    /// session ends, and the browser deletes the cookie when the browser is closed.
    pub fn middleware(
        &self,
        store: PgSessionStore,
        idle_timeout: Duration,
    ) -> SessionMiddleware<PgSessionStore> {
        SessionMiddleware::builder(store, self.keys.current().clone())
            .cookie_name(self.name.to_owned())
            .cookie_secure(self.secure)
            .cookie_http_only(true)
            .cookie_same_site(SameSite::Lax)
            .cookie_path("/".to_owned())
            .cookie_content_security(CookieContentSecurity::Private)
            // The store resets the idle timer itself, so no `update_ttl` is needed.
            .session_lifecycle(BrowserSession::default().state_ttl(idle_timeout))
            .build()
    }

    /// Returns the cookie that makes a browser delete its session cookie.
    pub fn removal(&self) -> Cookie<'static> {
        let cookie = Cookie::build(self.name, "").path("/").secure(self.secure).http_only(true);
        let mut cookie = cookie.same_site(SameSite::Lax).finish();
        cookie.make_removal();
        cookie
    }

    /// Rewrites the `Cookie` header, with the first valid session cookie in front of all cookies with other names.
    /// Returns the session cookie.
    pub fn select(&self, headers: &mut HeaderMap) -> Option<PresentedCookie> {
        let lines: Vec<HeaderValue> = headers.get_all(header::COOKIE).cloned().collect();
        let mut presented = None;
        let mut kept = Vec::<Cow<'_, str>>::new();
        let pairs = lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
        // A single byte that isn't UTF-8 would make actix-web drop all cookies.
        for pair in pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok()) {
            if pair.is_empty() {
                continue;
            }
            let cookie = Cookie::parse_encoded(pair).ok().filter(|cookie| cookie.name() == self.name);
            let Some(cookie) = cookie else {
                kept.push(pair.into());
                continue;
            };
            // actix-web decodes names, so `__%48ost-id` would also match. Browsers don't protect that name.
            let value = pair.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('='));
            match value.zip(self.decrypt(cookie.value())).filter(|_| presented.is_none()) {
                Some((value, (key, is_current))) => {
                    kept.insert(0, if is_current { pair.into() } else { self.encrypt(&key).into() });
                    presented = Some(PresentedCookie { value: value.to_owned(), key });
                }
                None => tracing::debug!("ignored an invalid session cookie"),
            }
        }
        let line = kept.join("; ");
        // Usually there is only the session cookie, and nothing has to change.
        if lines.len() != 1 || lines[0] != line {
            headers.remove(header::COOKIE);
            let line = HeaderValue::from_bytes(line.as_bytes()).into_iter().filter(|line| !line.is_empty());
            line.for_each(|line| headers.append(header::COOKIE, line));
        }
        presented
    }

    /// Removes a `Set-Cookie` header that repeats the request's key. In the meantime, the browser may have received a
    /// newer key from a response that overtook this one.
    fn remove_repeated(&self, headers: &mut HeaderMap, key: &str) {
        let set: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
        let repeats = |value: &HeaderValue| {
            let cookie = value.to_str().ok().and_then(|text| Cookie::parse_encoded(text.to_owned()).ok());
            let cookie = cookie.filter(|cookie| cookie.name() == self.name);
            cookie.and_then(|cookie| self.decrypt(cookie.value())).is_some_and(|(set, _)| set == key)
        };
        for value in set.into_iter().filter(|value| !repeats(value)) {
            headers.append(header::SET_COOKIE, value);
        }
    }

    /// Returns the session's key in a cookie's value, and whether the value was encrypted with the current secret.
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
