#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod secret;

use std::borrow::Cow;

use actix_web::{
    cookie::{Cookie, CookieJar, Key},
    http::header::{self, HeaderMap, HeaderValue},
};

pub use secret::SecretKeys;

/// A cookie whose value is encrypted, as [`CookieJar::private`] does it.
#[derive(Clone, Debug)]
pub struct PrivateCookie {
    name: &'static str,
    keys: SecretKeys,
}

/// The valid cookie of a request.
pub struct Found {
    /// The value as the browser sent it, encrypted.
    pub value: String,
    /// The decrypted value.
    pub text: String,
}

impl PrivateCookie {
    /// Creates the cookie with this name.
    pub fn new(name: &'static str, keys: SecretKeys) -> Self {
        Self { name, keys }
    }

    /// Returns the key for new cookies.
    pub fn key(&self) -> &Key {
        self.keys.current()
    }

    /// Rewrites the `Cookie` header, with the first valid cookie in front of all cookies with other names. Returns
    /// the valid cookie. If it was encrypted with an old secret, the header contains it encrypted with the current
    /// one. The browser's cookie stays as it is.
    pub fn select(&self, headers: &mut HeaderMap) -> Option<Found> {
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
                Some((value, (text, is_current))) => {
                    kept.insert(0, if is_current { pair.into() } else { self.encrypt(&text).into() });
                    found = Some(Found { value: value.to_owned(), text });
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

    /// Removes a `Set-Cookie` header with the same decrypted value as the request's cookie.
    pub fn remove_repeated(&self, headers: &mut HeaderMap, text: &str) {
        let set: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
        let repeats = |value: &HeaderValue| {
            let cookie = value.to_str().ok().and_then(|text| Cookie::parse_encoded(text.to_owned()).ok());
            let cookie = cookie.filter(|cookie| cookie.name() == self.name);
            cookie.and_then(|cookie| self.decrypt(cookie.value())).is_some_and(|(set, _)| set == text)
        };
        for value in set.into_iter().filter(|value| !repeats(value)) {
            headers.append(header::SET_COOKIE, value);
        }
    }

    /// Returns the decrypted value, or `None` if no secret decrypts it.
    pub fn text_of(&self, value: &str) -> Option<String> {
        self.decrypt(value).map(|(text, _)| text)
    }

    /// Decrypts a cookie's value, and returns whether the value was encrypted with the current secret.
    fn decrypt(&self, value: &str) -> Option<(String, bool)> {
        let with =
            |key: &Key| CookieJar::new().private(key).decrypt(Cookie::new(self.name, value.to_owned()));
        let mut keys = self.keys.all().iter().enumerate();
        keys.find_map(|(secret, key)| Some((with(key)?.value().to_owned(), secret == 0)))
    }

    /// Returns `name=value`, encrypted with the current secret.
    fn encrypt(&self, text: &str) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(self.keys.current()).add(Cookie::new(self.name, text.to_owned()));
        jar.get(self.name).map(|cookie| cookie.encoded().to_string()).unwrap_or_default()
    }
}
