//! The logged-in member. A handler with a [`Member`] or [`RecentMember`] argument runs only for members.

use std::{collections::HashMap, net::IpAddr, pin::Pin};

use actix_session::{Session, SessionExt};
use actix_session_postgres::PgSession;
use actix_web::{Error, FromRequest, HttpRequest};
use actix_web::{dev::Payload, error::InternalError, http::Method, web::Data};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::{self, Account};
use super::{Tools, audit, device};
use crate::{Config, http::client::client_address, session::LOGIN, view::redirect};

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
    /// The limit that this login's attempts count toward, even after the session gets a new key.
    pub attempts: Uuid,
}

impl Login {
    /// Reads the login from the values of a session.
    pub fn of(state: &HashMap<String, String>) -> Option<Self> {
        serde_json::from_str(state.get(LOGIN)?).ok()
    }
}

/// Ends the current session, if any, and starts one that is logged in. With `remember`, it outlives the browser.
pub fn log_in(request: &HttpRequest, account: &Account, remember: bool) {
    let session = request.get_session();
    let started = session.log_in(account.id);
    if let Some(config) = request.app_data::<Data<Config>>().filter(|_| remember) {
        started.remember(config.remember_idle_timeout, config.remember_max_age);
    }
    confirm(&session, account, device::label(request), client_address(request), Uuid::new_v4());
    audit::log_login(request, account.id);
}

fn confirm(session: &Session, account: &Account, label: String, client: IpAddr, attempts: Uuid) {
    let confirmed_at = account.now.unix_timestamp();
    let login = Login { account_id: account.id, epoch: account.epoch, confirmed_at, label, client, attempts };
    session.insert(LOGIN, login).expect("this struct can be serialized as JSON");
}

/// The account that is logged in. Other visitors are redirected to `/login`. Each request reads the account, so a
/// session is invalid as soon as the account is deleted or blocked, or its password changes.
pub struct Member<const IS_RECENT: bool = false> {
    /// The account.
    pub account: Account,
    pub(super) tools: Tools,
    pub(super) session: Session,
    pub(super) login: Login,
}

/// A member whose password was checked within the last ten minutes. Other members are redirected to `/confirm`.
pub type RecentMember = Member<true>;

impl<const IS_RECENT: bool> Member<IS_RECENT> {
    /// Records the account's epoch and that the member has just entered the password, and gives the session a new key.
    pub(super) fn renew(&self) {
        let Login { label, client, attempts, .. } = &self.login;
        confirm(&self.session, &self.account, label.clone(), *client, *attempts);
        self.session.rotate();
    }
}

impl<const IS_RECENT: bool> FromRequest for Member<IS_RECENT> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let tools = Tools::from_request(request, payload);
        Box::pin(async move {
            let tools = tools.await?;
            let (request, pool, ..) = &tools;
            let session = request.get_session();
            let login = Login::of(&session.entries());
            if let Some(login) = login {
                let row = table::find(pool, Some(login.account_id), None).await?;
                let is_valid = |row: &Account| row.epoch == login.epoch && row.disabled_at.is_none();
                if let Some(account) = row.filter(is_valid) {
                    if IS_RECENT && account.now.unix_timestamp() - login.confirmed_at >= RECENT {
                        return Err(elsewhere(request, "/confirm"));
                    }
                    return Ok(Self { account, tools, session, login });
                }
                audit::log(request, Some(login.account_id), "ended a session that is no longer valid");
            }
            // Otherwise, `/login` would redirect the member back here.
            if session.contains_key(LOGIN) {
                session.end();
            }
            Err(elsewhere(request, "/login"))
        })
    }
}

/// Redirects to a page that sends the browser back here afterward.
fn elsewhere(request: &HttpRequest, page: &str) -> Error {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');
    // The browser can return to a page, but it can't send a form again.
    let next = if request.method() == Method::GET { request.uri().to_string() } else { "/account".into() };
    let url = format!("{page}?next={}", utf8_percent_encode(&next, ENCODED));
    InternalError::from_response("the visitor must open another page first", redirect(&url).finish()).into()
}
