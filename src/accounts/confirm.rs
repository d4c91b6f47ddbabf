//! `/confirm`: asks for the password again before a sensitive action, because the session may have been stolen.

use actix_web::HttpResponse;
use actix_web::web::{Form, Query};
use askama::Template;
use serde::Deserialize;

use super::login::{Next, check, path_after};
use super::{Member, Refusal, audit, error, form, layout};
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

#[derive(Deserialize)]
pub struct Password {
    pub password: String,
    #[serde(default)]
    next: String,
}

pub async fn get(member: Member, Query(Next { next }): Query<Next>) -> Result<HttpResponse, Error> {
    show(member, next, None)
}

fn show(member: Member, next: String, refusal: Option<Refusal>) -> Result<HttpResponse, Error> {
    let (request, ..) = &member.tools;
    let page = Confirm { layout: layout(request), email: member.account.email, next, refusal };
    form(request, &page, &page.refusal)
}

/// Checks the password, gives the session a new key, and redirects to `next`.
pub async fn post(member: Member, Form(form): Form<Password>) -> Result<HttpResponse, Error> {
    let (account, known) = (&member.account, Some(member.login.attempts));
    let refusal = check(&member.tools, known, &account.email, Some(account), &form.password).await?;
    if refusal.is_some() {
        return show(member, form.next, refusal);
    }
    let (request, ..) = &member.tools;
    audit::log(request, Some(account.id), "confirmed the password");
    member.renew();
    Ok(redirect(path_after(request, &form.next)).finish())
}
