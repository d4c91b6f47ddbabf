//! The logged-in member. A handler with the argument [`Member`] or [`RecentMember`] only runs for members.

use std::{collections::HashMap, net::IpAddr, pin::Pin};

use actix_session::{Session, SessionExt};
use actix_session_postgres::PgSession;
use actix_web::{
    Error, FromRequest, HttpRequest, dev::Payload, error::InternalError, http::Method, web::Data,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    attempts::Trier,
    audit, device,
    table::{self, Account},
};
use crate::{Config, error, http::client::ClientAddress, session::LOGIN, view::redirect};

/// How long after a login or `/confirm` a session may perform sensitive actions, in seconds.
const RECENT: i64 = 10 * 60;

/// A login, in its session.
#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    pub account_id: Uuid,
    epoch: i32,
    /// When the password was checked, in seconds since 1970, by the database's clock.
    confirmed_at: i64,
    /// Browser, system and address, for the list of sessions.
    pub label: String,
    pub client: IpAddr,
    /// Whose limit this login's attempts count towards. It stays the same when the session gets a new key.
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

/// Logs in: ends the current session, if any, and starts one with a new key. With `remember`, it survives closing the
/// browser.
pub fn log_in(request: &HttpRequest, account: &Account, remember: bool) {
    let session = request.get_session();
    let login = session.log_in(account.id);
    if let Some(config) = request.app_data::<Data<Config>>().filter(|_| remember) {
        login.remember(config.remember_idle_timeout, config.remember_max_age);
    }
    let (label, client) = (device::label(request), ClientAddress::of(request).0);
    confirm(&session, account, (label, client, Uuid::new_v4()));
}

fn confirm(session: &Session, account: &Account, (label, client, attempts): (String, IpAddr, Uuid)) {
    let confirmed_at = account.now.unix_timestamp();
    let login = Login { account_id: account.id, epoch: account.epoch, confirmed_at, label, client, attempts };
    session.insert(LOGIN, login).expect("this struct can be written as JSON");
}

/// The account that is logged in. Each request reads it from the database. So a session is invalid as soon as its
/// account is deleted or blocked, or its password changes.
///
/// Without a login, the browser is sent to `/login`.
pub struct Member {
    /// The account.
    pub account: Account,
    session: Session,
    login: Login,
}

impl Member {
    /// Records that the member has just entered the password, and gives the session a new key. `account` is the current
    /// one, whose epoch may be higher than the session's.
    pub(super) fn renew(self, account: &Account) {
        confirm(&self.session, account, (self.login.label, self.login.client, self.login.attempts));
        self.session.rotate();
    }

    /// Returns whose limit the attempts in this session count towards. Nobody else can use it up.
    pub(super) fn trier(&self) -> Trier {
        Trier::Known(self.login.attempts)
    }

    /// Ends the session.
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
            let Some(login) = Login::of(&session) else { return Err(elsewhere(&request, "/login")) };
            let pool = request.app_data::<Data<PgPool>>().expect("all apps have it");
            let account = table::find(pool, login.account_id).await.map_err(error::Error::from)?;
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

/// A member whose password was checked within the last ten minutes. Others are sent to `/confirm`.
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

/// Redirects to another page, which leads back afterwards.
fn elsewhere(request: &HttpRequest, page: &str) -> Error {
    // The browser can only go back to a page. It can't send a form again.
    let next = if request.method() == Method::GET { request.uri().to_string() } else { "/account".into() };
    let mut url = format!("{page}?next=");
    for byte in next.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => url.push(byte.into()),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    InternalError::from_response("the visitor has to go to another page first", redirect(&url).finish())
        .into()
}
