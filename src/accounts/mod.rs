//! Registration, login, and a page to manage the account. `docs/accounts.md` explains the decisions. No form implements
//! `Debug`, so that passwords can't end up in a log.

mod account;
pub mod attempts;
pub mod audit;
mod confirm;
mod device;
mod login;
mod member;
pub(crate) mod operator;
pub mod passwords;
mod register;
pub mod table;

use actix_session::SessionExt;
use actix_session_postgres::PgSessionStore;
use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, dev::HttpServiceFactory};
use askama::Template;
use sqlx::PgPool;

use self::{attempts::Attempts, passwords::Passwords};
use crate::view::{self, Layout};
use crate::{Error, http::get};

pub use member::{Member, RecentMember, log_in};

/// The state of the pages in this folder. All workers share it.
#[derive(Default)]
pub struct Accounts {
    attempts: Attempts,
    passwords: Passwords,
}

/// The request, and what its handler needs.
type Tools = (HttpRequest, Data<PgPool>, Data<PgSessionStore>, Data<Accounts>);

/// Adds the routes. `page` turns a route into a page with [`passwords::DEADLINE`].
pub fn routes<P: HttpServiceFactory + 'static>(config: &mut ServiceConfig, page: impl Fn(Resource) -> P) {
    config
        .service(page(get("/register", register::get).route(web::post().to(register::post))))
        .service(page(get("/login", login::get).route(web::post().to(login::post))))
        .service(page(get("/confirm", confirm::get).route(web::post().to(confirm::post))))
        .service(page(get("/account", account::get)))
        .service(page(get("/account/data", account::data)))
        .service(page(web::resource("/account/sessions").route(web::post().to(account::end_sessions))))
        .service(page(web::resource("/account/password").route(web::post().to(account::change_password))))
        .service(page(web::resource("/account/delete").route(web::post().to(account::delete))));
}

/// Why a form is shown again.
struct Refusal {
    /// The message is shown next to this field.
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
        let (n, unit) = if seconds < 120 { (seconds, "seconds") } else { (seconds.div_ceil(60), "minutes") };
        let message = format!("There were too many attempts. Try again in {n} {unit}.");
        Self { field, message, wait: Some(seconds) }
    }
}

/// Returns the message for a field. Templates call this.
fn error<'a>(refusal: &'a Option<Refusal>, field: &str) -> Option<&'a str> {
    refusal.as_ref().filter(|refusal| refusal.field == field).map(|refusal| &*refusal.message)
}

/// Shows a form. With a refusal, the status is 422, or 429 with `Retry-After` if the visitor has to wait.
fn form(request: &HttpRequest, page: &impl Template, why: &Option<Refusal>) -> Result<HttpResponse, Error> {
    let mut response = view::page(request, page)?;
    if let Some(refusal) = why {
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
