//! `GET /visits`: the visit count and the visitor's own session. It counts no visit and starts no session.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{Accept, ContentType, Header},
    web::Data,
};
use askama::Template;
use batcher::acquire;
use serde::Serialize;
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

#[derive(Serialize)]
struct Summary {
    user_id: Uuid,
    visits: i64,
    expires_at: String,
    ends_at: String,
}

struct SessionView {
    user_id: Uuid,
    cookie: Arc<SessionCookie>,
    cookie_value: String,
    id: SessionId,
    row: Row,
    config: Arc<Config>,
}

/// Shows this browser's session, or a link to start one. With `Accept: application/json`, returns the count and
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
        let row = find(&pool, id, user_id, &config).await?;
        let (cookie, config) = (cookie.into_inner(), config.into_inner());
        view = row.map(|row| SessionView { user_id, cookie, cookie_value, id, row, config });
    }
    if Accept::parse(&request).is_ok_and(|accept| accept.preference() == ContentType::json().0) {
        let summary = view.map(|SessionView { user_id, row, .. }| Summary {
            user_id,
            visits: row.visits,
            expires_at: iso(&row.expires_at),
            ends_at: iso(&row.ends_at),
        });
        return Ok(HttpResponse::Ok().json(summary));
    }
    let layout = Layout::new(&request, !session.is_empty());
    page(&request, &Visits { layout, session: view })
}

struct Row {
    state: String,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    now: OffsetDateTime,
    visits: i64,
    last_visit_at: OffsetDateTime,
}

impl Row {
    fn time_left(&self) -> Duration {
        Duration::from_secs((self.expires_at - self.now).whole_seconds().unsigned_abs())
    }
}

/// Finds a session and its visitor. Until the second visit, there is only the session's row.
async fn find(pool: &PgPool, id: SessionId, user_id: Uuid, config: &Config) -> sqlx::Result<Option<Row>> {
    let interval = |duration| PgInterval::try_from(duration).map_err(sqlx::Error::Encode);
    // This request resets the idle timer in the background.
    sqlx::query_as!(
        Row,
        r#"
        select
            state::text as "state!",
            sessions.created_at,
            least(greatest(expires_at, now() + $3::interval), sessions.created_at + $4::interval) as "expires_at!",
            sessions.created_at + $4::interval as "ends_at!",
            now() as "now!",
            coalesce(visits, 1) as "visits!",
            coalesce(last_visit_at, sessions.created_at) as "last_visit_at!"
        from sessions
        left join visitors on visitors.id = $2
        where sessions.id = $1
        "#,
        &id.0,
        user_id,
        interval(config.session_idle_timeout)? as _,
        interval(config.session_max_age)? as _,
    )
    .fetch_optional(&mut *acquire(pool).await?)
    .await
}

/// Formats a time in UTC, to the second, for the `datetime` attribute and for JSON.
fn iso(at: &OffsetDateTime) -> String {
    humantime::format_rfc3339_seconds((*at).into()).to_string()
}

/// Formats a time for people to read.
fn text(at: &OffsetDateTime) -> String {
    iso(at).replace('T', ", ").replace('Z', " UTC")
}
