//! Chooses the session cookie from all the cookies that a browser sends.
//!
//! actix-session takes the first cookie with its name, and knows only one secret. But a browser may send several cookies
//! with that name, bytes that aren't text, and a cookie that was encrypted with an old secret.

use std::borrow::Cow;
use std::time::{Duration, Instant}; // demo

use actix_session_postgres::SessionId;
use actix_web::{
    HttpMessage, HttpRequest,
    cookie::{Cookie, CookieJar, Key},
    dev::ServiceRequest,
    http::header::{self, HeaderMap, HeaderValue},
    web::Data,
};

use crate::session::SessionCookie;

/// The valid session cookie that the browser sent, in the extensions of a request.
#[derive(Clone)]
pub struct PresentedCookie {
    /// The value as the browser sent it, encrypted.
    pub value: String,
    /// The session's key.
    key: String,
    /// How long it took to decrypt the value.
    pub decrypted_in: Duration, // demo
    /// When the search for the session began.
    pub since: Instant, // demo
}

impl PresentedCookie {
    /// Returns the cookie of this request.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Returns the id of the cookie's row, which may have been deleted, or `None` if the store can't have created such a key.
    /// It is computed only if it is needed, because a hash costs as much as decrypting the cookie.
    pub fn session_id(&self) -> Option<SessionId> {
        SessionId::of(&self.key)
    }
}

/// Keeps only the first valid session cookie in the request. No layer before this may ask the request for its cookies,
/// because actix-web parses them only once.
pub fn choose_cookie(request: &mut ServiceRequest) {
    let begin = Instant::now(); // demo
    let cookie = request.app_data::<Data<SessionCookie>>().expect("all apps have it").clone();
    if let Some((value, key)) = cookie.choose(request.headers_mut()) {
        request.extensions_mut().insert(PresentedCookie {
            value,
            key,
            decrypted_in: begin.elapsed(), // demo
            since: Instant::now(),         // demo
        });
    }
}

impl SessionCookie {
    /// Rewrites the `Cookie` header, with the first valid session cookie in front of all cookies with other names.
    /// Returns the valid cookie's value and the session's key in it.
    ///
    /// If the cookie was encrypted with an old secret, the header gets it encrypted with the current one. The browser's
    /// cookie doesn't change.
    pub fn choose(&self, headers: &mut HeaderMap) -> Option<(String, String)> {
        let lines: Vec<HeaderValue> = headers.get_all(header::COOKIE).cloned().collect();
        let mut found = None;
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
            match value.zip(self.decrypt(cookie.value())).filter(|_| found.is_none()) {
                Some((value, (key, is_current))) => {
                    kept.insert(0, if is_current { pair.into() } else { self.encrypt(&key).into() });
                    found = Some((value.to_owned(), key));
                }
                None => tracing::debug!(name = self.name, "ignored an invalid cookie"),
            }
        }
        let line = kept.join("; ");
        // Usually there is only this cookie, and nothing has to change.
        if lines.len() != 1 || lines[0] != line {
            headers.remove(header::COOKIE);
            let line = HeaderValue::from_bytes(line.as_bytes()).into_iter().filter(|line| !line.is_empty());
            line.for_each(|line| headers.append(header::COOKIE, line));
        }
        found
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
