//! The logged-in member. A handler with a [`Member`] or [`RecentMember`] argument runs only for members.

use std::{collections::HashMap, net::IpAddr, pin::Pin};

use actix_session::{Session, SessionExt};
use actix_session_postgres::PgSession;
use actix_web::{
    Error, FromRequest, HttpRequest, dev::Payload, error::InternalError, http::Method, web::Data,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::table::{self, Account};
use super::{attempts::Trier, audit, device};
use crate::{Config, error, http::client::ClientAddress, session::LOGIN, view::redirect};

/// How long a session can perform sensitive actions after a login or `/confirm`, in seconds.
const RECENT: i64 = 10 * 60;

/// A login, as its session stores it.
#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    pub account_id: Uuid,
    epoch: i32,
    /// When the password was checked, in seconds since 1970, by the database's clock.
    confirmed_at: i64,
    /// Browser, system and address, for the list of sessions.
    pub label: String,
    pub client: IpAddr,
    /// The limit that this login's attempts count toward. It doesn't change when the session gets a new key.
    attempts: Uuid,
}

impl Login {
    pub fn of(session: &Session) -> Option<Self> {
        session.get(LOGIN).ok().flatten()
    }

    /// Reads the login from the values of another session.
    pub fn in_state(state: &HashMap<String, String>) -> Option<Self> {
        serde_json::from_str(state.get(LOGIN)?).ok()
    }
}

/// Ends the current session, if any, and starts a new one that is logged in. With `remember`, closing the browser
/// doesn't end the new session.
pub fn log_in(request: &HttpRequest, account: &Account, remember: bool) {
    let session = request.get_session();
    let started = session.log_in(account.id);
    if let Some(config) = request.app_data::<Data<Config>>().filter(|_| remember) {
        started.remember(config.remember_idle_timeout, config.remember_max_age);
    }
    let (label, client) = (device::label(request), ClientAddress::of(request).0);
    confirm(&session, account, (label, client, Uuid::new_v4()));
    audit::log_login(request, account.id);
}

fn confirm(session: &Session, account: &Account, (label, client, attempts): (String, IpAddr, Uuid)) {
    let confirmed_at = account.now.unix_timestamp();
    let login = Login { account_id: account.id, epoch: account.epoch, confirmed_at, label, client, attempts };
    session.insert(LOGIN, login).expect("this struct can be serialized as JSON");
}

/// The account that is logged in. Each request reads the account from the database, so a session becomes
/// invalid when its account is deleted or blocked, or when the password changes.
///
/// If the visitor isn't logged in, the browser is redirected to `/login`.
pub struct Member {
    /// The account.
    pub account: Account,
    session: Session,
    login: Login,
}

impl Member {
    /// Records that the member has just entered the password, and gives the session a new key. The epoch in
    /// `self.account` is current, and may be higher than the session's.
    pub(super) fn renew(self) {
        confirm(&self.session, &self.account, (self.login.label, self.login.client, self.login.attempts));
        self.session.rotate();
    }

    /// Returns the limit that this session's attempts count toward. Nobody else can use it up.
    pub(super) fn trier(&self) -> Trier {
        Trier::Known(self.login.attempts)
    }

    pub(super) fn end(&self) {
        self.session.end();
    }
}

impl FromRequest for Member {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let session = request.get_session();
            let Some(login) = Login::of(&session) else {
                // Otherwise, `/login` would redirect the member back here if the login can't be read.
                if session.contains_key(LOGIN) {
                    session.end();
                }
                return Err(elsewhere(&request, "/login"));
            };
            let pool = request.app_data::<Data<PgPool>>().expect("all apps have it");
            let account =
                table::find(pool, Some(login.account_id), None).await.map_err(error::Error::from)?;
            let is_valid = |account: &Account| account.epoch == login.epoch && account.disabled_at.is_none();
            match account.filter(is_valid) {
                Some(account) => Ok(Self { account, session, login }),
                None => {
                    audit::log(&request, Some(login.account_id), "ended a session that is no longer valid");
                    session.end();
                    Err(elsewhere(&request, "/login"))
                }
            }
        })
    }
}

/// A member whose password was checked within the last ten minutes. Other members are redirected to `/confirm`.
pub struct RecentMember(pub Member);

impl FromRequest for RecentMember {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (member, request) = (Member::from_request(request, payload), request.clone());
        Box::pin(async move {
            let member = member.await?;
            let age = member.account.now.unix_timestamp() - member.login.confirmed_at;
            if age < RECENT { Ok(Self(member)) } else { Err(elsewhere(&request, "/confirm")) }
        })
    }
}

/// Redirects to a page that sends the browser back here afterward.
fn elsewhere(request: &HttpRequest, page: &str) -> Error {
    // The browser can return to a page, but it can't send a form again.
    let next = if request.method() == Method::GET { request.uri().to_string() } else { "/account".into() };
    let mut url = format!("{page}?next=");
    for byte in next.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => url.push(byte.into()),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    InternalError::from_response("the visitor must open a different page first", redirect(&url).finish())
        .into()
}
