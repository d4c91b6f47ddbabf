//! `/login`: shows the form and checks the password.

use actix_web::web::{Form, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::table::{self, Account};
use super::{Refusal, Tools, audit, device, error, form, layout, log_in, passwords::PARAMETERS};
use crate::view::{Layout, redirect};
use crate::{Error, http::client::client_address};

/// Maximum number of live sessions per account. A login ends the oldest ones.
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

#[derive(Deserialize)]
pub struct Credentials {
    pub email: String,
    pub password: String,
    remember: Option<String>,
    #[serde(default)]
    next: String,
}

/// Shows the form, or redirects to `next` if the session contains a login, which may be invalid.
pub async fn get(request: HttpRequest, Query(Next { next }): Query<Next>) -> Result<HttpResponse, Error> {
    let layout = layout(&request);
    if layout.is_member {
        return Ok(redirect(path_after(&request, &next)).finish());
    }
    let page = LoginPage { layout, email: String::new(), next, remember: false, refusal: None };
    form(&request, &page, &page.refusal)
}

/// Logs in and redirects to `next`. An unknown address gets the same response as a wrong password, after the same work.
pub async fn post(tools: Tools, Form(credentials): Form<Credentials>) -> Result<HttpResponse, Error> {
    let (request, pool, store, _) = &tools;
    let Credentials { email, password, remember, next } = credentials;
    let known = table::email(&email).unwrap_or_default();
    let account = table::find(pool, None, Some(&known)).await?;
    let device = account.as_ref().and_then(|account| device::known(request, account.id));
    let refusal = check(&tools, device, &known, account.as_ref(), &password).await?;
    let remember = remember.is_some();
    let refusal = match (refusal, account) {
        (None, Some(account)) if account.disabled_at.is_none() => {
            for oldest in store.sessions_of(&account.id).await?.iter().skip(MAX_SESSIONS - 1) {
                store.end(oldest.id).await?;
                audit::log(request, Some(account.id), "ended the oldest session: there were too many");
            }
            log_in(request, &account, remember);
            let device = device::cookie(request, account.id);
            return Ok(redirect(path_after(request, &next)).cookie(device).finish());
        }
        (None, Some(_)) => Refusal::new("password", "This account is blocked."),
        (Some(refusal), _) if refusal.wait.is_some() => refusal,
        _ => Refusal::new("password", "The email address or the password is wrong."),
    };
    let page = LoginPage { layout: layout(request), email, next, remember, refusal: Some(refusal) };
    form(request, &page, &page.refusal)
}

/// Returns why the password is refused, or `None`. Hashes the password even if there is no account.
pub async fn check(
    tools: &Tools,
    known: Option<Uuid>,
    email: &str,
    account: Option<&Account>,
    password: &str,
) -> Result<Option<Refusal>, Error> {
    let (request, pool, _, accounts) = tools;
    let id = account.map(|account| account.id);
    let (client, wrong) = (client_address(request), account.map_or(0, |account| account.failures));
    let rank = match accounts.attempts.check(client, known, email, wrong) {
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
        let is_outdated = !account.password_hash.starts_with(PARAMETERS);
        let rehashed = if is_outdated { Some(accounts.passwords.hash(rank, password).await?) } else { None };
        if rehashed.is_some() || account.failures > 0 {
            table::succeed(pool, account, rehashed.as_deref()).await?;
        }
    }
    Ok(None)
}

/// Returns `next` if it is a page on this site, and the account page otherwise. Without this check, a link to our login
/// page could lead to a fake one. Browsers treat `//host` and `/\host` as a different site, even with tabs in between.
pub fn path_after<'a>(request: &HttpRequest, next: &'a str) -> &'a str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_clean = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = path.starts_with('/') && !path.starts_with("//");
    let others = ["/logout", "/login", "/register", "/account/", "/experiments/", "/static/", "/health/"];
    let is_other = others.iter().any(|other| path.starts_with(other)) && path != "/account/data";
    let is_page = is_clean && is_local && !is_other && request.resource_map().has_resource(path);
    if is_page { next } else { "/account" }
}
