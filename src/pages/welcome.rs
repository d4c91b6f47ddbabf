//! `GET /`: the welcome page. It starts a session for a new visitor and counts a visit.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Layout, is_seen, page, short};
use crate::{
    Error,
    middleware::request_log::log_after_success,
    session::TypedSession,
    session_limit::SessionLimit,
    visitors::{self, VisitCounter},
};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    layout: Layout,
    visitor: Option<Visitor>,
}

struct Visitor {
    user_id: Uuid,
    visits: i64,
    is_new: bool,
}

/// Counts one visit and shows the count. HEAD requests and prefetches don't count and don't start a session.
pub async fn get(
    request: HttpRequest,
    session: TypedSession,
    counter: Data<VisitCounter>,
    limit: Data<SessionLimit>,
    pool: Data<PgPool>,
) -> Result<HttpResponse, Error> {
    let is_seen = is_seen(&request);
    let visitor = match session.user_id() {
        Some(user_id) if is_seen => {
            Some(Visitor { user_id, visits: counter.count(user_id).await?, is_new: false })
        }
        Some(user_id) => {
            Some(Visitor { user_id, visits: visitors::visits(&pool, user_id).await?, is_new: false })
        }
        None if is_seen => {
            if session.is_empty() {
                limit.check(&request)?;
            }
            let user_id = Uuid::now_v7();
            // The session's row, which is saved before the response is sent, records the first visit.
            session.start(user_id);
            Some(Visitor { user_id, visits: 1, is_new: true })
        }
        None => None,
    };
    if let Some(Visitor { user_id, visits, .. }) = visitor
        && is_seen
    {
        log_after_success(&request, move || {
            tracing::info!(%user_id, visits, "User {user_id} has visited the page {visits} times");
        });
    }
    page(&request, &Welcome { layout: Layout::new(&request, visitor.is_some()), visitor })
}
