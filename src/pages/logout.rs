//! `/logout`: ends the session. POST always does; GET does when the visitor asked for it, and otherwise shows the page
//! with the button that posts.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, http::header, web::Data};
use askama::Template;

use super::{assets::Assets, in_words, is_seen, notice, page, short};
use crate::{
    Config, Error,
    middleware::{
        cross_origin::fetch_site,
        session_cookie::{PresentedCookie, SessionCookie},
    },
    session::TypedSession,
    users::KEPT_LONGER,
};

#[derive(Template)]
#[template(path = "logout.html")]
struct Logout {
    assets: &'static Assets,
    here: &'static str,
    session: Option<LogoutView>,
}

struct LogoutView {
    user_id: String,
    short_id: String,
    row_id_start: String,
    user_kept: String,
}

/// Logs out when the person came from one of our pages or typed the address, or when the client says nothing of it (an
/// old browser, a script). A link on another site, an image, a prefetch only get to see the page.
///
/// # Errors
/// Those of rendering.
pub async fn get(
    request: HttpRequest,
    session: TypedSession,
    config: Data<Config>,
    cookie: Data<SessionCookie>,
) -> Result<HttpResponse, Error> {
    let asked_for = matches!(fetch_site(&request), None | Some(b"same-origin" | b"none"));
    if is_seen(&request) && asked_for {
        return Ok(post(request, session, cookie).await);
    }
    let presented = request.extensions().get::<PresentedCookie>().and_then(|cookie| cookie.session);
    let view = session.user_id().map(|user_id| LogoutView {
        user_id: user_id.to_string(),
        short_id: short(user_id),
        row_id_start: presented.map(|id| id.start()).unwrap_or_default(),
        user_kept: in_words(config.session_max_age + KEPT_LONGER),
    });
    page(&Logout { assets: Assets::get(), here: "logout", session: view })
}

/// Deletes the session's row, removes the cookie, and sends the browser to `/` with GET (303).
pub async fn post(request: HttpRequest, session: TypedSession, cookie: Data<SessionCookie>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, "/"));
    // Not "cookies": that would take those of every other application on localhost, and our notice with them.
    response.insert_header(("clear-site-data", r#""cache", "storage""#));
    if request.extensions().get::<PresentedCookie>().is_some() {
        if session.is_empty() {
            // It had ended before: actix-session sees no session, and would leave the dead cookie where it is.
            response.cookie(cookie.removal());
        }
        response.cookie(notice::logged_out(cookie.secure));
    }
    session.end();
    response.finish()
}
