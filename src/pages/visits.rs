//! `GET /visits`: the visit count and the visitor's own session. It doesn't count a visit or start a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_session_postgres::SessionId;
use actix_web::http::header::{Accept, ContentType, Header};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use serde_json::json;
use sqlx::PgPool;
use sqlx_batcher::acquire;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::session::{Session, SessionCookie, ValidCookie, since_lookup};
use crate::view::{Layout, page};
use crate::{Config, Error, visitors::COUNT_SQL};

#[derive(Template)]
#[template(path = "visits.html")]
struct Visits {
    layout: Layout,
    session: Option<SessionView>,
    count_sql: &'static str,
}

struct SessionView {
    visitor_id: Uuid,
    cookie: Arc<SessionCookie>,
    presented: ValidCookie,
    /// How long it took to decrypt the cookie's value again, to measure it.
    decrypted_in: Duration,
    /// How long it took to decrypt the cookie and find the session.
    found_in: Duration,
    id: SessionId,
    row: Row,
    visits: i64,
    last_visit_at: OffsetDateTime,
    config: Arc<Config>,
}

/// Shows this browser's session, or a link to start one. With `Accept: application/json`, returns the count and
/// the two times at which the session can end.
pub async fn get(
    request: HttpRequest,
    session: Session,
    pool: Data<PgPool>,
    config: Data<Config>,
    cookie: Data<SessionCookie>,
) -> Result<HttpResponse, Error> {
    let found_in = since_lookup(&request);
    let begin = Instant::now();
    let presented = ValidCookie::of(&request);
    let decrypted_in = begin.elapsed();
    let mut view = None;
    if let (Some(visitor_id), Some(presented)) = (session.data().visitor_id, presented)
        && let Some(id) = presented.session_id()
        && let Some(row) = find(&pool, id).await?
    {
        // Before the second visit, there is only the session's row.
        let visitor = find_visitor(&pool, visitor_id).await?;
        let (visits, last_visit_at) = visitor.unwrap_or((1, row.created_at));
        let (cookie, config) = (cookie.into_inner(), config.into_inner());
        let session = SessionView {
            visitor_id,
            cookie,
            presented,
            decrypted_in,
            found_in,
            id,
            row,
            visits,
            last_visit_at,
            config,
        };
        view = Some(session);
    }
    if Accept::parse(&request).is_ok_and(|accept| accept.preference() == ContentType::json().0) {
        let summary = view.map(|SessionView { visitor_id, row, visits, .. }| {
            let [expires_at, ends_at] = [row.expires_at, row.ends_at].map(|time| iso(&time));
            json!({ "visitor_id": visitor_id, "visits": visits, "expires_at": expires_at, "ends_at": ends_at })
        });
        return Ok(HttpResponse::Ok().json(summary));
    }
    let layout = Layout::new(&request, !session.is_empty());
    page(&request, &Visits { layout, session: view, count_sql: COUNT_SQL })
}

struct Row {
    state: String,
    created_at: OffsetDateTime,
    idle_seconds: i32,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    now: OffsetDateTime,
}

impl Row {
    fn time_left(&self) -> Duration {
        Duration::from_secs((self.expires_at - self.now).whole_seconds().unsigned_abs())
    }

    fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.unsigned_abs().into())
    }

    fn max_age(&self) -> Duration {
        Duration::from_secs((self.ends_at - self.created_at).whole_seconds().unsigned_abs())
    }
}

async fn find(pool: &PgPool, id: SessionId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        select
            state::text as "state!",
            created_at,
            idle_seconds,
            expires_at,
            ends_at,
            now() as "now!"
        from sessions
        where id = $1
        "#,
        &id.0,
    )
    .fetch_optional(&mut *acquire(pool).await?)
    .await
}

async fn find_visitor(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<(i64, OffsetDateTime)>> {
    let visitor = sqlx::query!("select visits, last_visit_at from visitors where id = $1", id);
    let visitor = visitor.fetch_optional(&mut *acquire(pool).await?).await?;
    Ok(visitor.map(|visitor| (visitor.visits, visitor.last_visit_at)))
}

/// Formats a time in UTC, to the second, for the `datetime` attribute and for JSON.
fn iso(at: &OffsetDateTime) -> String {
    humantime::format_rfc3339_seconds((*at).into()).to_string()
}

/// Formats a time for people to read.
fn text(at: &OffsetDateTime) -> String {
    iso(at).replace('T', ", ").replace('Z', " UTC")
}

/// Returns the last 8 digits of an ID, which are random. A UUIDv7 starts with the time, so IDs from around
/// the same time start with the same digits.
pub(super) fn short(id: Uuid) -> String {
    id.as_simple().to_string().split_off(24)
}

/// Formats a short time, such as `0.42 ms`.
pub(super) fn milliseconds(time: &Duration) -> String {
    let hundredths = time.as_micros() / 10;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}
