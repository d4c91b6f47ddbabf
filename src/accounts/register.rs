//! `/register`: creates an account and logs in.

use actix_web::{HttpRequest, HttpResponse, web::Form};
use askama::Template;

use super::login::Credentials;
use super::{Refusal, Tools, audit, device, error, form, layout, log_in, passwords, table};
use crate::view::{Layout, redirect};
use crate::{Error, http::client::client_address};

#[derive(Template)]
#[template(path = "accounts/register.html")]
struct Register {
    layout: Layout,
    email: String,
    refusal: Option<Refusal>,
}

pub async fn get(request: HttpRequest) -> Result<HttpResponse, Error> {
    if layout(&request).is_member {
        return Ok(redirect("/account").finish());
    }
    show(&request, String::new(), None)
}

fn show(request: &HttpRequest, email: String, refusal: Option<Refusal>) -> Result<HttpResponse, Error> {
    let page = Register { layout: layout(request), email, refusal };
    form(request, &page, &page.refusal)
}

/// Creates the account, logs in, and redirects to `/account`. Reveals whether an address already has an account.
pub async fn post(tools: Tools, Form(form): Form<Credentials>) -> Result<HttpResponse, Error> {
    let (request, pool, _, accounts) = &tools;
    let refuse = |refusal| show(request, form.email.clone(), Some(refusal));
    let Some(address) = table::email(&form.email) else {
        return refuse(Refusal::new("email", "Enter an email address, such as ada@example.org."));
    };
    if let Some(problem) = passwords::problem(&form.password, &address) {
        return refuse(Refusal::new("password", problem));
    }
    let rank = match accounts.attempts.check_client(client_address(request)) {
        Ok(rank) => rank,
        Err(seconds) => {
            audit::log(request, None, "refused a registration: there were too many attempts");
            return refuse(Refusal::wait("email", seconds));
        }
    };
    let hash = accounts.passwords.hash(rank, &form.password).await?;
    let created = table::create(pool, &address, &hash).await;
    if let Err(Error::Conflict(_)) = created {
        return refuse(Refusal::new("email", "This address already has an account."));
    }
    let account = created?;
    audit::log(request, Some(account.id), "registered");
    log_in(request, &account, false);
    Ok(redirect("/account").cookie(device::cookie(request, account.id)).finish())
}
