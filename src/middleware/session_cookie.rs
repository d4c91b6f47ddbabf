//! The session cookie: its name, its attributes and its layer. [`private_cookie`] finds it among the cookies that a browser
//! sends.

use std::time::{Duration as StdDuration, Instant};

use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    cookie::{Cookie, SameSite, time::Duration},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use private_cookie::{Found, PrivateCookie, SecretKeys};

use crate::session::{PgSessionStore, SessionId};

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
    private: PrivateCookie,
}

/// The valid session cookie that the browser sent, in the extensions of a request.
#[derive(Clone)]
pub struct PresentedCookie {
    /// The value as the browser sent it, encrypted.
    pub value: String,
    /// The session's key.
    key: String,
    /// How long it took to decrypt the value.
    pub decrypted_in: StdDuration,
    /// When the search for the session began.
    pub since: Instant,
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
    let begin = Instant::now();
    let Some(Found { value, text: key }) = cookie.private.select(request.headers_mut()) else {
        return next.call(request).await;
    };
    request.extensions_mut().insert(PresentedCookie {
        value,
        key: key.clone(),
        decrypted_in: begin.elapsed(),
        since: Instant::now(),
    });
    let mut response = next.call(request).await?;
    // In the meantime, the browser may have received a newer key from a response that overtook this one.
    cookie.private.remove_repeated(response.headers_mut(), &key);
    Ok(response)
}

impl SessionCookie {
    /// Creates the cookie. `secure` is [`crate::Config::cookie_secure`].
    pub fn new(secure: bool, keys: SecretKeys) -> Self {
        let name = if secure { "__Host-id" } else { "id" };
        Self { name, secure, private: PrivateCookie::new(name, keys) }
    }

    /// Returns actix-session's middleware for this cookie. The cookie has no `Max-Age`. The database decides when a
    /// session ends, and the browser deletes the cookie when the browser is closed.
    pub fn middleware(
        &self,
        store: PgSessionStore,
        idle_timeout: Duration,
    ) -> SessionMiddleware<PgSessionStore> {
        SessionMiddleware::builder(store, self.private.key().clone())
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

    /// Returns the key in a cookie's value, if it is valid. Its session may have ended.
    pub fn key_in(&self, value: &str) -> Option<String> {
        self.private.text_of(Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?.value())
    }

    /// Returns the cookie that makes a browser delete its session cookie.
    pub fn removal(&self) -> Cookie<'static> {
        let cookie = Cookie::build(self.name, "").path("/").secure(self.secure).http_only(true);
        let mut cookie = cookie.same_site(SameSite::Lax).finish();
        cookie.make_removal();
        cookie
    }
}
