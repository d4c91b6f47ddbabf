//! A member's browser: its label, and a [device cookie][owasp] that it keeps. With the cookie, the owner can still
//! log in during an attack on the account. The cookie alone doesn't grant access.
//!
//! [owasp]: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies

use actix_web::cookie::{Cookie, CookieJar, SameSite, time::Duration};
use actix_web::{HttpRequest, http::header::USER_AGENT, web::Data};
use uuid::Uuid;

use crate::Config;

/// Returns the device cookie for `account`. The encryption includes its name, so no other cookie can replace it.
pub fn cookie(request: &HttpRequest, account: Uuid) -> Cookie<'static> {
    let config = request.app_data::<Data<Config>>().expect("all apps have it");
    // A known browser keeps its ID, so logging in again doesn't give it new attempts.
    let browser = known(request, account).unwrap_or_else(Uuid::new_v4);
    let cookie = Cookie::build(name(config), format!("{account} {browser}")).path("/").http_only(true);
    let cookie = cookie.secure(config.cookie_secure).same_site(SameSite::Lax).max_age(Duration::days(180));
    let mut jar = CookieJar::new();
    jar.private_mut(config.session_secret.current()).add(cookie.finish());
    jar.get(name(config)).expect("it was just added").clone()
}

/// Returns the browser's ID, if it has logged in to `account` before.
pub fn known(request: &HttpRequest, account: Uuid) -> Option<Uuid> {
    let config = request.app_data::<Data<Config>>()?;
    let sent = request.cookie(name(config))?;
    let decrypt = |key| CookieJar::new().private(key).decrypt(sent.clone());
    let value = config.session_secret.all.iter().find_map(decrypt)?;
    value.value().strip_prefix(&format!("{account} "))?.parse().ok()
}

fn name(config: &Config) -> &'static str {
    if config.cookie_secure { "__Host-device" } else { "device" }
}

/// Returns the browser and the system, such as "Firefox on Linux". The label never contains text from the header.
pub fn label(request: &HttpRequest) -> String {
    // More specific names first, because browsers also send the names of other browsers.
    const BROWSERS: &str =
        "Edg=Edge OPR/=Opera Firefox/=Firefox FxiOS/=Firefox Chrom=Chrome CriOS/=Chrome Safari/=Safari";
    const SYSTEMS: &str = "Android iPhone iPad CrOS=ChromeOS Windows Macintosh=macOS Linux";
    let agent = request.headers().get(USER_AGENT).map_or("", |agent| agent.to_str().unwrap_or_default());
    let find = |names: &'static str| {
        let mut names = names.split(' ').map(|name| name.split_once('=').unwrap_or((name, name)));
        names.find(|(mark, _)| agent.contains(mark)).map(|(_, name)| name)
    };
    let browser = find(BROWSERS).unwrap_or("A program");
    find(SYSTEMS).map_or_else(|| browser.to_owned(), |system| format!("{browser} on {system}"))
}
