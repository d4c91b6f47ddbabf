//! `/login`: shows the form and checks the password.

use actix_session_postgres::PgSessionStore;
use actix_web::web::{Form, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::table::{self, Account};
use super::{
    Accounts, Refusal, Tools, attempts::Trier, audit, device, error, form, layout, log_in, passwords,
};
use crate::Error;
use crate::view::{Layout, redirect};

/// Maximum number of live sessions per account.
const MAX_SESSIONS: usize = 100;

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    layout: Layout,
    email: String,
    next: String,
    remember: bool,
    refusal: Option<Refusal>,
}

/// Where to go after the login.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    pub next: String,
}

/// The form. It doesn't implement `Debug`, so that passwords can't end up in a log.
#[derive(Deserialize)]
pub struct Credentials {
    email: String,
    password: String,
    remember: Option<String>,
    #[serde(default)]
    next: String,
}

/// Shows the form, or redirects to `next` if the session contains a login. If that login is no longer valid, the next
/// page for members ends it and redirects here.
pub async fn get(request: HttpRequest, Query(Next { next }): Query<Next>) -> Result<HttpResponse, Error> {
    if layout(&request).is_member {
        return Ok(redirect(path_after(&request, &next)).finish());
    }
    show(&request, String::new(), next, false, None)
}

fn show(
    request: &HttpRequest,
    email: String,
    next: String,
    remember: bool,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Error> {
    let page = LoginPage { layout: layout(request), email, next, remember, refusal };
    form(request, &page, &page.refusal)
}

/// Logs in and redirects to `next`. The response for an unknown address is the same as for a wrong password,
/// and takes the same amount of hashing.
pub async fn post(
    request: HttpRequest,
    (pool, store, accounts): Tools,
    Form(Credentials { email, password, remember, next }): Form<Credentials>,
) -> Result<HttpResponse, Error> {
    let known = table::email(&email).unwrap_or_default();
    let account = table::find(&pool, None, Some(&known)).await?;
    let trier = device::trier(&request, account.as_ref().map(|account| account.id));
    let refusal = check(&request, &pool, &accounts, trier, &known, account.as_ref(), &password).await?;
    let refusal = match (refusal, account) {
        (None, Some(Account { disabled_at: Some(_), .. })) => {
            Refusal::new("password", "This account is blocked.")
        }
        (None, Some(account)) => {
            make_room(&request, &store, account.id).await?;
            log_in(&request, &account, remember.is_some());
            let device = device::cookie(&request, account.id);
            return Ok(redirect(path_after(&request, &next)).cookie(device).finish());
        }
        (Some(refusal), _) if refusal.wait.is_some() => refusal,
        _ => Refusal::new("password", "The email address or the password is wrong."),
    };
    show(&request, email, next, remember.is_some(), Some(refusal))
}

/// Checks the password of an account. If there is no account, does the same work. If the attempt is refused,
/// returns the reason.
pub async fn check(
    request: &HttpRequest,
    pool: &PgPool,
    accounts: &Accounts,
    trier: Trier,
    email: &str,
    account: Option<&Account>,
    password: &str,
) -> Result<Option<Refusal>, Error> {
    let id = account.map(|account| account.id);
    let rank = match accounts.attempts.check(trier, email, account) {
        Ok(rank) => rank,
        Err(seconds) => {
            audit::log(request, id, "refused an attempt: there were too many");
            return Ok(Some(Refusal::wait("password", seconds)));
        }
    };
    let hash = account.map(|account| account.password_hash.as_str());
    if !accounts.passwords.verify(rank, password, hash).await? {
        audit::log(request, id, "a wrong password");
        table::count_failure(pool, email).await?;
        return Ok(Some(Refusal::new("password", "That is not your password.")));
    }
    if let Some(account) = account {
        let is_outdated = passwords::is_outdated(&account.password_hash);
        let rehashed = if is_outdated { Some(accounts.passwords.hash(rank, password).await?) } else { None };
        if rehashed.is_some() || account.failures > 0 {
            table::succeed(pool, account, rehashed.as_deref()).await?;
        }
    }
    Ok(None)
}

/// Ends the oldest sessions to make room for another one.
async fn make_room(request: &HttpRequest, store: &PgSessionStore, account: Uuid) -> Result<(), Error> {
    for oldest in store.sessions_of(&account).await?.iter().skip(MAX_SESSIONS - 1) {
        store.end(oldest.id).await?;
        audit::log(request, Some(account), "ended the oldest session: there were too many");
    }
    Ok(())
}

/// Returns `next` if it is a page on this site, and the account page otherwise.
///
/// Without this check, a link to our login page could lead to a fake one that asks for the password again (an open
/// redirect). Browsers treat `//host` and `/\host` as a different site, even with tabs or line breaks in between.
pub fn path_after<'a>(request: &HttpRequest, next: &'a str) -> &'a str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_clean =
        next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !next.starts_with("//");
    let is_other = ["/logout", "/login", "/register", "/account/", "/experiments/", "/static/", "/health/"]
        .iter()
        .any(|p| path.starts_with(p) && path != "/account/data");
    let is_page = is_clean && !is_other && path.starts_with('/') && request.resource_map().has_resource(path);
    if is_page { next } else { "/account" }
}
