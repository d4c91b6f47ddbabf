//! Accounts: registering, logging in, and a page where members manage their account. `docs/accounts.md` explains the decisions.
//!
//! Everything about accounts is in this folder. `cargo dev without accounts` deletes it and the few lines that refer to it.

mod account;
pub mod attempts;
pub mod audit;
mod confirm;
mod device;
mod login;
mod member;
pub mod operator;
pub mod passwords;
mod register;
pub mod table;

use actix_session::SessionExt;
use actix_session_postgres::PgSessionStore;
use actix_web::{
    HttpRequest, HttpResponse, Resource,
    http::{StatusCode, header},
    web::{self, Data},
};
use askama::Template;
use sqlx::PgPool;

use self::{attempts::Attempts, passwords::Passwords};
use crate::{
    Error, get,
    view::{self, Layout},
};

pub use member::{Member, RecentMember, log_in};
pub use passwords::DEADLINE;

/// What the pages in this folder share, across all workers.
#[derive(Default)]
pub struct Accounts {
    attempts: Attempts,
    passwords: Passwords,
}

type Tools = (Data<PgPool>, Data<PgSessionStore>, Data<Accounts>);

/// Adds the routes, each of which is a page.
pub fn routes(add: &mut dyn FnMut(Resource)) {
    let post = web::post;
    add(get("/register", register::get).route(post().to(register::post)));
    add(get("/login", login::get).route(post().to(login::post)));
    add(get("/confirm", confirm::get).route(post().to(confirm::post)));
    add(get("/account", account::get));
    add(get("/account/data", account::data));
    add(web::resource("/account/sessions").route(post().to(account::end_sessions)));
    add(web::resource("/account/password").route(post().to(account::change_password)));
    add(web::resource("/account/delete").route(post().to(account::delete)));
}

/// Why a form is shown again.
struct Refusal {
    /// The field that the message belongs to.
    field: &'static str,
    message: String,
    /// Seconds to wait, if there were too many attempts.
    wait: Option<u64>,
}

impl Refusal {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into(), wait: None }
    }

    fn wait(field: &'static str, seconds: u64) -> Self {
        let time = if seconds < 120 {
            format!("{seconds} seconds")
        } else {
            format!("{} minutes", seconds.div_ceil(60))
        };
        let message = format!("There were too many attempts. Try again in {time}.");
        Self { field, message, wait: Some(seconds) }
    }
}

/// Returns the message for a field. Templates call this.
fn error<'a>(refusal: &'a Option<Refusal>, field: &str) -> Option<&'a str> {
    refusal.as_ref().filter(|refusal| refusal.field == field).map(|refusal| &*refusal.message)
}

/// Shows a form. After a refusal, the status is 422, or 429 with the seconds to wait.
fn form(
    request: &HttpRequest,
    form: &impl Template,
    refusal: &Option<Refusal>,
) -> Result<HttpResponse, Error> {
    let mut response = view::page(request, form)?;
    if let Some(refusal) = refusal {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        if let Some(seconds) = refusal.wait {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    Ok(response)
}

fn layout(request: &HttpRequest) -> Layout {
    Layout::new(request, !request.get_session().entries().is_empty())
}
