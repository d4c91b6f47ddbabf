//! The error page: what happened, what to do, and the request ID, which is also in the log.

use actix_web::http::StatusCode;
use askama::Template;
use tracing_actix_web::RequestId;

use super::Layout;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    status: u16,
    title: &'static str,
    what: &'static str,
    advice: &'static str,
    request_id: String,
}

/// Renders the page for `status`.
pub fn error_page(status: StatusCode, request_id: Option<RequestId>) -> String {
    let (what, advice) = match status.as_u16() {
        403 => (
            "This request didn't come from one of our pages, so nothing was changed.",
            "If you meant to do this, use the button on our page.",
        ),
        404 => ("There is no page at this address.", "Check the address, or start at the welcome page."),
        405 => ("This page doesn't support this kind of request.", "Open it from the welcome page."),
        408 => ("The request took too long to arrive.", "Check your connection and try again."),
        413 | 414 => ("The request is too large.", "Shorten it and try again."),
        431 => (
            "The request's headers are too large. Usually, this site's cookies have grown too large.",
            "If so, we asked your browser to delete the largest ones, so try again. Delete this site's cookies in your browser's settings if that doesn't help.",
        ),
        429 => (
            "Your network has sent too many requests of this kind.",
            "Wait a minute and try again. If cookies are disabled, allow them: without a cookie, each request may start a new session.",
        ),
        503 => (
            "The server can't respond at the moment.",
            "Wait a few seconds and try again. The last action may or may not have been carried out.",
        ),
        400..=499 => ("The request is invalid.", "Check what you entered, or start at the welcome page."),
        _ => ("Something went wrong on our side.", "Try again. If that doesn't help, send us the ID below."),
    };
    // The page may be for a request whose session was never read.
    let layout = Layout::default();
    let title = status.canonical_reason().unwrap_or("Error");
    let request_id = request_id.map(|id| id.to_string()).unwrap_or_default();
    let page = ErrorPage { layout, status: status.as_u16(), title, what, advice, request_id };
    page.render().unwrap_or_else(|_| status.to_string())
}
