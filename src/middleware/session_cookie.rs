//! Brings order into the cookies before actix-session looks at them.
//!
//! actix-session takes the first cookie of its name and knows one key. A browser may send several (another path, another
//! application on localhost, an attacker's from a neighbouring subdomain), next to cookies that are not even text, and
//! after a change of secret it sends an old one. Here every cookie of our name is tried with every key; the one that
//! opens goes on, under the current key, and the others are dropped.

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    cookie::{Cookie, CookieJar, Key, SameSite},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::{
    config::SecretKeys,
    session::{PgSessionStore, SessionId},
};

/// What the middleware, and the page that shows the cookie, know of it.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    /// `__Host-id`, or `id` where it may go over plain http. The [prefix][rfc] makes the browser itself refuse a cookie
    /// of that name that is not `Secure`, or that another host has set.
    ///
    /// [rfc]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
    pub name: &'static str,
    /// Whether it goes over https alone.
    pub secure: bool,
    /// The keys that it may be encrypted under.
    pub keys: SecretKeys,
}

impl SessionCookie {
    /// The cookie of a deployment: `secure` is [`crate::Config::cookie_secure`].
    pub fn new(secure: bool, keys: SecretKeys) -> Self {
        let name = if secure { "__Host-id" } else { "id" };
        Self { name, secure, keys }
    }
}

/// The cookie with which this request came in, where one of ours opened. In the request's extensions.
#[derive(Clone, Debug)]
pub struct PresentedCookie {
    /// The value as the browser sent it: encrypted, opaque.
    pub value: String,
    /// The row that it opens, if that is still there.
    pub session: Option<SessionId>,
}

/// Leaves at most one cookie of our name in the request: one that opens. Nothing before it may ask the request for its
/// cookies: actix-web parses them once. Sends a cookie of an old secret back under the
/// current one.
///
/// # Errors
/// Those of the request.
pub async fn session_cookie(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let config = Arc::clone(request.app_data::<Data<SessionCookie>>().expect("app() registers it"));
    let Some(opened) = config.sort_out(request.headers_mut()) else {
        return next.call(request).await;
    };
    let presented = PresentedCookie { value: opened.value, session: SessionId::of(&opened.key) };
    request.extensions_mut().insert(presented);

    let store = Arc::clone(request.app_data::<Data<PgSessionStore>>().expect("app() registers it"));
    let mut response = next.call(request).await?;
    drop_repeated(response.headers_mut(), &config, &opened.key);
    let says_nothing = !response.headers().get_all(header::SET_COOKIE).any(|set| is_named(set, config.name));
    // Once a browser and a change of secret, one statement more: a key that a rotation has replaced meanwhile, or a
    // logout ended, must not come back over the newer one.
    if opened.secret != 0 && says_nothing && store.is_current(&opened.key).await {
        response.headers_mut().append(header::SET_COOKIE, config.set(&opened.key));
    }
    Ok(response)
}

/// A cookie of ours, decrypted.
pub struct Opened {
    /// The session's key.
    pub key: String,
    /// The cookie's value, as it was sent.
    pub value: String,
    /// Which of the secrets opened it; 0 is the current one.
    pub secret: usize,
}

/// Takes out a `Set-Cookie` that gives the browser the key that it came with: it may have a newer one by now, from an
/// answer that overtook this one, and must not lose it.
fn drop_repeated(headers: &mut HeaderMap, config: &SessionCookie, key: &str) {
    let set: Vec<HeaderValue> = headers.remove(header::SET_COOKIE).collect();
    let repeats = |value: &HeaderValue| {
        let cookie = value.to_str().ok().and_then(|text| Cookie::parse_encoded(text.to_owned()).ok());
        cookie
            .filter(|c| c.name() == config.name)
            .and_then(|c| config.open(c.value()))
            .is_some_and(|(k, _)| k == key)
    };
    for value in set.into_iter().filter(|value| !repeats(value)) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// As the browser has it, percent signs and all.
fn value_of(pair: &str) -> String {
    pair.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default()
}

fn is_named(set_cookie: &HeaderValue, name: &str) -> bool {
    set_cookie.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
}

impl SessionCookie {
    /// Writes the `Cookie` header anew, unless the session's cookie is alone in it: that cookie first, then the neighbours
    /// that are text. Gives what opened.
    pub fn sort_out(&self, headers: &mut HeaderMap) -> Option<Opened> {
        if let Some(opened) = self.alone(headers) {
            return Some(opened);
        }
        let sent: Vec<HeaderValue> = headers.remove(header::COOKIE).collect();
        let mut opened = None;
        let mut rejected = 0;
        let mut kept = Vec::<Cow<'_, str>>::new();
        let pairs = sent.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
        // One byte that is not UTF-8 would make actix-web drop every cookie of the request.
        for pair in pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok()) {
            match Cookie::parse_encoded(pair) {
                Ok(cookie) if cookie.name() == self.name => {
                    // `__%48ost-id` is our name too once it is decoded, but not to the browser, which lets anyone set it.
                    let exact = pair.starts_with(self.name);
                    match self.open(cookie.value()).filter(|_| exact && opened.is_none()) {
                        Some((key, secret)) => {
                            // actix-session knows the current secret alone.
                            let current = if secret == 0 { pair.into() } else { self.pair(&key).into() };
                            kept.insert(0, current);
                            opened = Some(Opened { key, value: value_of(pair), secret });
                        }
                        None => rejected += 1,
                    }
                }
                _ if pair.is_empty() => {}
                _ => kept.push(pair.into()),
            }
        }
        if rejected > 0 {
            tracing::debug!(rejected, "session cookies that are not ours");
        }
        if let Ok(value) = HeaderValue::from_bytes(kept.join("; ").as_bytes())
            && !kept.is_empty()
        {
            headers.insert(header::COOKIE, value);
        }
        opened
    }

    /// The usual case, with nothing to sort out: one cookie and no other, ours, under the current secret.
    fn alone(&self, headers: &HeaderMap) -> Option<Opened> {
        let mut lines = headers.get_all(header::COOKIE);
        let (line, None) = (lines.next()?.to_str().ok()?, lines.next()) else { return None };
        let value = line.strip_prefix(self.name)?.strip_prefix('=')?;
        if value.contains(';') {
            return None;
        }
        let key = self.open_with(self.keys.current(), Cookie::parse_encoded(line).ok()?.value())?;
        Some(Opened { key, value: value.to_owned(), secret: 0 })
    }

    /// The session's key, from a cookie's value, and which of the secrets has opened it.
    fn open(&self, value: &str) -> Option<(String, usize)> {
        let mut keys = self.keys.all().iter().enumerate();
        keys.find_map(|(secret, key)| Some((self.open_with(key, value)?, secret)))
    }

    fn open_with(&self, key: &Key, value: &str) -> Option<String> {
        let cookie = CookieJar::new().private(key).decrypt(Cookie::new(self.name, value.to_owned()))?;
        Some(cookie.value().to_owned())
    }

    /// The cookie of a session, encrypted under the current secret.
    fn seal(&self, key: &str) -> Cookie<'static> {
        let mut jar = CookieJar::new();
        jar.private_mut(self.keys.current()).add(self.bare(key.to_owned()));
        jar.get(self.name).expect("it was just added").clone()
    }

    fn bare(&self, value: String) -> Cookie<'static> {
        Cookie::build(self.name, value)
            .path("/")
            .secure(self.secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .finish()
    }

    fn pair(&self, key: &str) -> String {
        self.seal(key).stripped().encoded().to_string()
    }

    fn set(&self, key: &str) -> HeaderValue {
        let cookie = self.seal(key).encoded().to_string();
        HeaderValue::from_str(&cookie).expect("an encoded cookie is a header value")
    }

    /// The cookie that makes a browser forget the session's.
    pub fn removal(&self) -> Cookie<'static> {
        let mut cookie = self.bare(String::new());
        cookie.make_removal();
        cookie
    }
}
