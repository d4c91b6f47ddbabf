//! `GET /visits`: the visit count and the visitor's own session. It counts no visit and starts no session.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{Accept, ContentType, Header},
    web::Data,
};
use askama::Template;
use serde_json::json;
use source_line::{SourceLine, source_line};
use sqlx::{PgPool, postgres::types::PgInterval};
use sqlx_batcher::acquire;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Layout, milliseconds, page, short};
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
    presented: PresentedCookie,
    /// How long it took to find the session.
    found_in: Duration,
    id: SessionId,
    row: Row,
    config: Arc<Config>,
}

/// Where each step of the page happens.
static SOURCES: LazyLock<[SourceLine; 7]> = LazyLock::new(|| {
    [
        source_line!("src/middleware/session_cookie.rs", "pub fn middleware"),
        source_line!("crates/private-cookie/src/lib.rs", "pub fn select"),
        source_line!("src/session/id.rs", "fn hash"),
        source_line!("src/session/statements.rs", "macro_rules! live_sessions"),
        source_line!("src/session/data.rs", "pub struct SessionData"),
        source_line!("src/visitors.rs", "macro_rules! count_visits"),
        source_line!("src/middleware/security_headers.rs", "const HEADERS"),
    ]
});

fn source(step: &usize) -> &'static SourceLine {
    &SOURCES[step - 1]
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
    let presented = request.extensions().get::<PresentedCookie>().cloned();
    let mut view = None;
    if let (Some(user_id), Some(presented)) = (session.user_id(), presented)
        && let Some(id) = presented.session_id()
    {
        let found_in = presented.since.elapsed();
        let row = find(&pool, id, user_id, &config).await?;
        let (cookie, config) = (cookie.into_inner(), config.into_inner());
        view = row.map(|row| SessionView { user_id, cookie, presented, found_in, id, row, config });
    }
    if Accept::parse(&request).is_ok_and(|accept| accept.preference() == ContentType::json().0) {
        let summary = view.map(|SessionView { user_id, row, .. }| {
            let [expires_at, ends_at] = [row.expires_at, row.ends_at].map(|time| iso(&time));
            json!({ "user_id": user_id, "visits": row.visits, "expires_at": expires_at, "ends_at": ends_at })
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
