//! `GET /visits`: the visit count, and the visitor's own session from the cookie to the rows. Counts nothing and starts
//! nothing.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{Accept, ContentType, Header},
    web::Data,
};
use askama::Template;
use serde_json::json;
use sqlx::{PgPool, postgres::types::PgInterval};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Layout, page, short};
use crate::{
    Config, Error,
    middleware::session_cookie::{PresentedCookie, SessionCookie},
    session::{SessionId, TypedSession},
};

#[derive(Template)]
#[template(path = "visits.html")]
struct Visits {
    layout: Layout,
    session: Option<SessionView>,
}

struct SessionView {
    user_id: Uuid,
    cookie: Arc<SessionCookie>,
    cookie_value: String,
    id: SessionId,
    row: Row,
    config: Arc<Config>,
}

/// Shows the session of this browser, or an invitation to start one. With `Accept: application/json`, returns the count and
/// the two times at which the session can end.
pub async fn get(
    request: HttpRequest,
    session: TypedSession,
    pool: Data<PgPool>,
    config: Data<Config>,
    cookie: Data<SessionCookie>,
) -> Result<HttpResponse, Error> {
    let presented = request.extensions().get::<PresentedCookie>().map(|c| (c.value.clone(), c.session_id()));
    let mut view = None;
    if let (Some(user_id), Some((cookie_value, Some(id)))) = (session.user_id(), presented) {
        let row = find(&pool, id, user_id, config.session_max_age).await?;
        let (cookie, config) = (cookie.into_inner(), config.into_inner());
        view = row.map(|row| SessionView { user_id, cookie, cookie_value, id, row, config });
    }
    if Accept::parse(&request).is_ok_and(|accept| accept.preference() == ContentType::json().0) {
        let session = view.map(|SessionView { user_id, row, .. }| {
            let (expires_at, ends_at) = (iso(&row.expires_at), iso(&row.ends_at));
            json!({ "user_id": user_id, "visits": row.visits, "expires_at": expires_at, "ends_at": ends_at })
        });
        return Ok(HttpResponse::Ok().json(session));
    }
    let layout = Layout::new(&request, !session.is_empty());
    page(&request, &Visits { layout, session: view })
}

struct Row {
    state: String,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    seconds_left: i64,
    visits: i64,
    last_visit_at: OffsetDateTime,
}

/// Finds a session and its visitor. After the first visit, the session's row is all there is.
async fn find(pool: &PgPool, id: SessionId, user_id: Uuid, max_age: Duration) -> sqlx::Result<Option<Row>> {
    let max_age = PgInterval::try_from(max_age).map_err(sqlx::Error::Encode)?;
    sqlx::query_as!(
        Row,
        r#"
        select
            state::text as "state!",
            sessions.created_at,
            least(expires_at, sessions.created_at + $3::interval) as "expires_at!",
            sessions.created_at + $3::interval as "ends_at!",
            greatest(0, extract(epoch from least(expires_at, sessions.created_at + $3::interval) - now()))::bigint
                as "seconds_left!",
            coalesce(visits, 1) as "visits!",
            coalesce(last_visit_at, sessions.created_at) as "last_visit_at!"
        from sessions
        left join visitors on visitors.id = $2
        where sessions.id = $1
        "#,
        &id.0,
        user_id,
        max_age as _,
    )
    .fetch_optional(pool)
    .await
}

/// Formats a time in UTC, to the second, for the `datetime` attribute and for JSON.
fn iso(at: &OffsetDateTime) -> String {
    humantime::format_rfc3339_seconds((*at).into()).to_string()
}

/// Formats a time for the reader.
fn text(at: &OffsetDateTime) -> String {
    iso(at).replace('T', ", ").replace('Z', " UTC")
}
