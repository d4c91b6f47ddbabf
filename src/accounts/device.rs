//! A member's browser: a short label for people, and a cookie that lets the account recognize the browser.
//!
//! A browser that has logged in to an account keeps a [device cookie][owasp]. With this cookie, the owner can
//! still log in during an attack on the account. The cookie alone doesn't grant access.
//!
//! [owasp]: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies

use actix_web::cookie::{Cookie, CookieJar, SameSite, time::Duration};
use actix_web::{HttpRequest, http::header, web::Data};
use uuid::Uuid;

use super::attempts::Trier;
use crate::{http::client::ClientAddress, session::SessionCookie};

/// Returns the device cookie for `account`. The encryption includes the cookie's name, so no other cookie can replace
/// it.
pub fn cookie(request: &HttpRequest, account: Uuid) -> Cookie<'static> {
    let session = request.app_data::<Data<SessionCookie>>().expect("all apps have it");
    // A known browser keeps its ID, so logging in again doesn't give it new attempts.
    let browser = known(request, account).unwrap_or_else(Uuid::new_v4);
    let cookie = Cookie::build(name(session), format!("{account} {browser}"))
        .path("/")
        .secure(session.secure)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(Duration::days(180));
    let mut jar = CookieJar::new();
    jar.private_mut(session.keys.current()).add(cookie.finish());
    jar.get(name(session)).expect("it was just added").clone()
}

/// Returns where an attempt on `account` comes from: a browser that has logged in to it before, or any other client.
pub fn trier(request: &HttpRequest, account: Option<Uuid>) -> Trier {
    let known = account.and_then(|account| known(request, account));
    known.map_or_else(|| Trier::Client(ClientAddress::of(request).0), Trier::Known)
}

fn known(request: &HttpRequest, account: Uuid) -> Option<Uuid> {
    let session = request.app_data::<Data<SessionCookie>>()?;
    let sent = request.cookie(name(session))?;
    let decrypt = |key| CookieJar::new().private(key).decrypt(sent.clone());
    let value = session.keys.all().iter().find_map(decrypt)?;
    let (owner, browser) = value.value().split_once(' ')?;
    (owner == account.to_string()).then(|| browser.parse().ok()).flatten()
}

fn name(session: &SessionCookie) -> &'static str {
    if session.secure { "__Host-device" } else { "device" }
}

/// Returns the browser and the system, such as "Firefox on Linux". The label never contains text from the header.
pub fn label(request: &HttpRequest) -> String {
    // More specific names first, because browsers also send the names of other browsers.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrom", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ];
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default();
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = find(&BROWSERS).unwrap_or("A program");
    find(&SYSTEMS).map_or_else(|| browser.to_owned(), |system| format!("{browser} on {system}"))
}
