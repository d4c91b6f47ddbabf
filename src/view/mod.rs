//! What all pages need: the layout, messages, static files and error pages.

pub(crate) mod assets;
pub mod error_page;
pub(crate) mod flash;

use actix_session::SessionExt; // accounts
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use anyhow::Context;
use askama::Template;

use crate::Error;
use crate::session; // accounts
use flash::Flash;

pub(crate) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What `base.html` needs. Every template struct has a `layout` field.
#[derive(Default)]
pub struct Layout {
    pub(crate) path: String,
    pub(crate) has_session: bool,
    pub(crate) flash: Option<&'static Flash>,
    pub(crate) is_member: bool, // accounts
}

impl Layout {
    /// Creates the layout for the page at the path of `request`.
    pub fn new(request: &HttpRequest, has_session: bool) -> Self {
        Self {
            path: request.path().to_owned(),
            has_session,
            flash: Flash::of(request),
            is_member: request.get_session().entries().contains_key(session::LOGIN), // accounts
        }
    }
}

/// Renders a page. Compression would save two kilobytes, but take as much time as a visit, and could make new pages
/// vulnerable to [BREACH](https://www.breachattack.com/).
pub fn page(request: &HttpRequest, template: &impl Template) -> Result<HttpResponse, Error> {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, CONTENT_TYPE));
    if Flash::of(request).is_some() {
        response.cookie(Flash::forget(request));
    }
    Ok(response.body(template.render().context("render a page")?))
}

/// Redirects the browser to another page with GET (303), after a form has been processed.
pub fn redirect(path: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, path));
    response
}
