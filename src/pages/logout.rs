//! `/logout`: POST ends the session. GET ends it if the visitor asked for that, and otherwise shows a button.

use actix_session_postgres::SessionId;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::Error;
use crate::accounts; // accounts
use crate::fetch_metadata::{fetch_site, is_for_document, is_seen};
use crate::session::{Session, ValidCookie, removal};
use crate::view::{Layout, flash::LOGGED_OUT, page, redirect};

#[derive(Template)]
#[template(path = "logout.html")]
struct Logout {
    layout: Layout,
    row: Option<SessionId>,
}

/// Logs out if the visitor followed a link on this site or typed the address, or if the client doesn't say. For a
/// link on another site, an image, a prefetch or `?confirm`, this only shows the page.
pub async fn get(request: HttpRequest, session: Session) -> Result<HttpResponse, Error> {
    let is_from_here = matches!(fetch_site(&request), None | Some("same-origin" | "none"));
    if is_from_here && is_seen(&request) && is_for_document(&request) && request.query_string() != "confirm" {
        return Ok(post(request, session).await);
    }
    let presented = ValidCookie::of(&request).filter(|_| !session.is_empty());
    let row = presented.and_then(|presented| SessionId::of(&presented.key));
    page(&request, &Logout { layout: Layout::new(&request, row.is_some()), row })
}

/// Deletes the session's row, removes the cookie, and redirects to `/`.
pub async fn post(request: HttpRequest, session: Session) -> HttpResponse {
    let mut response = redirect("/");
    // Not "cookies", because that would also delete the message's cookie and those of other apps on
    // localhost. Not "cache", because that takes several seconds in Chromium, and no page is cached.
    response.insert_header(("clear-site-data", r#""storage""#));
    if ValidCookie::of(&request).is_some() {
        if session.is_empty() {
            // The session has already ended, so actix-session would leave the cookie in the browser.
            response.cookie(removal(&request));
        }
        response.cookie(LOGGED_OUT.cookie(&request));
    }
    accounts::audit::log_logout(&request); // accounts
    session.end();
    response.finish()
}
