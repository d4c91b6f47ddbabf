//! `/register`: creates an account and logs in.

use actix_web::{HttpRequest, HttpResponse, web::Form};
use askama::Template;
use serde::Deserialize;
use sqlx::PgPool;

use super::table::{self, Account};
use super::{Accounts, Refusal, Tools, audit, device, error, form, layout, log_in, passwords};
use crate::view::{Layout, redirect};
use crate::{Error, http::client::ClientAddress};

#[derive(Template)]
#[template(path = "accounts/register.html")]
struct Register {
    layout: Layout,
    email: String,
    refusal: Option<Refusal>,
}

/// The form. It doesn't implement `Debug`, so that passwords can't end up in a log.
#[derive(Deserialize)]
pub struct NewAccount {
    email: String,
    password: String,
}

/// Shows the form, or the account if the visitor is already logged in.
pub async fn get(request: HttpRequest) -> Result<HttpResponse, Error> {
    let layout = layout(&request);
    if layout.is_member {
        return Ok(redirect("/account").finish());
    }
    let page = Register { layout, email: String::new(), refusal: None };
    form(&request, &page, &page.refusal)
}

/// Creates the account, logs in, and redirects to `/account`.
///
/// The response reveals whether an address already has an account. To prevent that, show the same page in
/// both cases, and send an email with a link that completes the registration.
pub async fn post(
    request: HttpRequest,
    (pool, _, accounts): Tools,
    Form(NewAccount { email, password }): Form<NewAccount>,
) -> Result<HttpResponse, Error> {
    match create(&request, &pool, &accounts, &email, &password).await? {
        Ok(account) => {
            audit::log(&request, Some(account.id), "registered");
            log_in(&request, &account, false);
            Ok(redirect("/account").cookie(device::cookie(&request, account.id)).finish())
        }
        Err(refusal) => {
            let page = Register { layout: layout(&request), email, refusal: Some(refusal) };
            form(&request, &page, &page.refusal)
        }
    }
}

async fn create(
    request: &HttpRequest,
    pool: &PgPool,
    accounts: &Accounts,
    email: &str,
    password: &str,
) -> Result<Result<Account, Refusal>, Error> {
    let Some(address) = table::email(email) else {
        return Ok(Err(Refusal::new("email", "Enter an email address, such as ada@example.org.")));
    };
    if let Some(problem) = passwords::problem(password, &address) {
        return Ok(Err(Refusal::new("password", problem)));
    }
    let rank = match accounts.attempts.check_client(ClientAddress::of(request).0) {
        Ok(rank) => rank,
        Err(seconds) => {
            audit::log(request, None, "refused a registration: there were too many attempts");
            return Ok(Err(Refusal::wait("email", seconds)));
        }
    };
    let hash = accounts.passwords.hash(rank, password).await?;
    match table::create(pool, &address, &hash).await {
        Err(Error::Conflict(_)) => Ok(Err(Refusal::new("email", "This address already has an account."))),
        created => created.map(Ok),
    }
}
