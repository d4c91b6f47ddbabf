//! `GET /`: who you are, and how often you came. The page that starts a session and counts a visit.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use askama::Template;
use sqlx::PgPool;
use uuid::Uuid;

use super::{assets::Assets, is_seen, notice, page, short};
use crate::{
    Error,
    middleware::session_cookie::SessionCookie,
    session::TypedSession,
    users::{self, VisitCounter},
};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    assets: &'static Assets,
    here: &'static str,
    visitor: Option<Visitor>,
    logged_out: bool,
}

/// What has been counted for a request. In its extensions.
struct Counted {
    user_id: Uuid,
    visits: i64,
}

struct Visitor {
    user_id: String,
    short_id: String,
    visits: i64,
    is_new: bool,
}

/// Records one visit and says so. A new visitor gets a user and a session; whoever only looks ahead (HEAD, a prefetch)
/// gets the page, and nothing is counted or started.
///
/// # Errors
/// The database's.
pub async fn get(
    request: HttpRequest,
    session: TypedSession,
    pool: Data<PgPool>,
    visits: Data<VisitCounter>,
    cookie: Data<SessionCookie>,
) -> Result<HttpResponse, Error> {
    let visitor = if is_seen(&request) {
        Some(visit(&request, &session, &visits).await?)
    } else {
        known(&session, &pool).await?
    };
    let logged_out = notice::is_due(&request, cookie.secure);
    page(&Welcome { assets: Assets::get(), here: "welcome", visitor, logged_out })
}

async fn visit(
    request: &HttpRequest,
    session: &TypedSession,
    visits: &VisitCounter,
) -> Result<Visitor, Error> {
    let known = session.user_id();
    let (user_id, visits) = match known {
        Some(user_id) => (user_id, visits.record(user_id).await?),
        None => {
            let user_id = Uuid::now_v7();
            // The row that the session's save gives a new user counts their first visit.
            session.start(user_id)?;
            (user_id, 1)
        }
    };
    request.extensions_mut().insert(Counted { user_id, visits });
    Ok(Visitor::new(user_id, visits, known.is_none()))
}

/// Logs a visit that was counted. Stands round the session's middleware: a first visit is counted by the session that is
/// saved on the way out, which may fail.
///
/// # Errors
/// Those of the request.
pub async fn log_visit(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let response = next.call(request).await?;
    if let Some(Counted { user_id, visits }) = response.request().extensions().get() {
        tracing::info!("User {user_id} has visited the page {visits} times");
    }
    Ok(response)
}

async fn known(session: &TypedSession, pool: &PgPool) -> Result<Option<Visitor>, Error> {
    let Some(user_id) = session.user_id() else {
        return Ok(None);
    };
    let user = users::find(pool, user_id).await?;
    Ok(user.map(|user| Visitor::new(user.id, user.visits, false)))
}

impl Visitor {
    fn new(user_id: Uuid, visits: i64, is_new: bool) -> Self {
        Self { user_id: user_id.to_string(), short_id: short(user_id), visits, is_new }
    }
}
