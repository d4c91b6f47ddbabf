//! The page of everything that went wrong: what happened, what to do, and the request's id for whoever asks for help.

use actix_web::http::{StatusCode, header::HeaderValue};
use askama::Template;
use tracing_actix_web::RequestId;

use super::assets::Assets;

/// What pages are.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// One error, in words for the visitor.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    assets: &'static Assets,
    here: &'static str,
    status: u16,
    title: String,
    what: &'static str,
    advice: &'static str,
    request_id: String,
}

impl ErrorPage {
    /// The page for `status`, in answer to the request `request_id`.
    pub fn new(status: StatusCode, request_id: Option<RequestId>) -> Self {
        let (what, advice) = explain(status);
        Self {
            assets: Assets::get(),
            here: "",
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            what,
            advice,
            request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// The page as HTML; where even that fails, the status in plain words.
    pub fn to_html(&self) -> String {
        self.render().unwrap_or_else(|error| {
            tracing::error!(%error, "the error page can't be rendered");
            format!("{} {}", self.status, self.title)
        })
    }
}

fn explain(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        403 => (
            "This request did not come from one of our own pages, so nothing was changed.",
            "Go back to the page that you came from, and use the button there.",
        ),
        404 => ("There is no page at this address.", "Check the address, or start from the welcome page."),
        405 => ("This page can't be used in that way.", "Open it from the welcome page."),
        408 => (
            "The request took too long to arrive, and was given up.",
            "Check your connection, and try again.",
        ),
        413 | 414 | 431 => {
            ("The request is larger than this application takes.", "Shorten it, and try again.")
        }
        429 => (
            "Too many new sessions come from your network.",
            "Wait a minute, and try again. If cookies are off, switch them on: without one, every visit starts a new session.",
        ),
        503 => (
            "The database does not answer at the moment. Your session is not lost.",
            "Wait a few seconds, and try again.",
        ),
        400..=499 => ("The request could not be understood.", "Start from the welcome page."),
        _ => ("Something went wrong on our side.", "Try again. If it stays, tell us the request id below."),
    }
}
