//! `/confirm`: asks for the password again before a sensitive action, because the session may have been stolen.

use actix_web::web::{Form, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::login::{Next, check, path_after};
use super::{Member, Refusal, Tools, audit, error, form, layout};
use crate::Error;
use crate::view::{Layout, redirect};

#[derive(Template)]
#[template(path = "accounts/confirm.html")]
struct Confirm {
    layout: Layout,
    email: String,
    next: String,
    refusal: Option<Refusal>,
}

/// The form. It doesn't implement `Debug`, so that passwords can't end up in a log.
#[derive(Deserialize)]
pub struct Password {
    password: String,
    #[serde(default)]
    next: String,
}

/// Shows the form.
pub async fn get(
    request: HttpRequest,
    Member { account, .. }: Member,
    Query(Next { next }): Query<Next>,
) -> Result<HttpResponse, Error> {
    let page = Confirm { layout: layout(&request), email: account.email, next, refusal: None };
    form(&request, &page, &page.refusal)
}

/// Checks the password, gives the session a new key, and redirects to `next`.
pub async fn post(
    request: HttpRequest,
    member: Member,
    (pool, _, accounts): Tools,
    Form(Password { password, next }): Form<Password>,
) -> Result<HttpResponse, Error> {
    let (account, trier) = (&member.account, member.trier());
    let refusal = check(&request, &pool, &accounts, trier, &account.email, Some(account), &password).await?;
    if refusal.is_none() {
        audit::log(&request, Some(account.id), "confirmed the password");
        member.renew();
        return Ok(redirect(path_after(&request, &next)).finish());
    }
    let page = Confirm { layout: layout(&request), email: member.account.email, next, refusal };
    form(&request, &page, &page.refusal)
}
