//! The log of logins, logouts, wrong passwords and changes. It never contains anything that a visitor typed.

use std::net::IpAddr;

use actix_session::SessionExt;
use actix_session_postgres::SessionId;
use actix_web::{HttpRequest, cookie::Cookie, http::header::SET_COOKIE, web::Data};
use uuid::Uuid;

use super::member::Login;
use crate::Config;
use crate::http::{client::client_address, request_log::log_after_success};
use crate::session::{ValidCookie, key_in};

/// Logs an event that has happened, with the session whose cookie the browser sent.
pub fn log(request: &HttpRequest, account: Option<Uuid>, what: &str) {
    write(client_address(request), account, session(request), what);
}

/// Logs a login with the new session of this request, once it is saved.
pub fn log_login(request: &HttpRequest, account: Uuid) {
    let client = client_address(request);
    let config = request.app_data::<Data<Config>>().expect("all apps have it").clone();
    log_after_success(request, move |headers| {
        let mut set = headers.get_all(SET_COOKIE).filter_map(|line| Cookie::parse(line.to_str().ok()?).ok());
        let key = set.find_map(|set| key_in(&config, set.value()));
        write(client, Some(account), key.and_then(|key| SessionId::of(&key)), "logged in");
    });
}

/// Logs a member's logout, once the session has ended. Call this before the session ends.
pub fn log_logout(request: &HttpRequest) {
    if let Some(Login { account_id, .. }) = Login::of(&request.get_session().entries()) {
        let (client, session) = (client_address(request), session(request));
        log_after_success(request, move |_| write(client, Some(account_id), session, "logged out"));
    }
}

/// Returns the ID of the session whose cookie the browser sent.
pub fn session(request: &HttpRequest) -> Option<SessionId> {
    ValidCookie::of(request).and_then(|cookie| SessionId::of(&cookie.key))
}

fn write(client: IpAddr, account: Option<Uuid>, session: Option<SessionId>, what: &str) {
    let account = account.map(tracing::field::display);
    tracing::info!(target: "accounts", account, %client, session = session.map(|id| id.start()), "{what}");
}
