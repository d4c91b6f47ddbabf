//! `GET /visits`: the visit count and the visitor's own session. It doesn't count a visit or start a session.

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

use crate::session::{Session, ValidCookie, since_lookup};
use crate::view::{Layout, page};
use crate::{Config, Error};

#[derive(Template)]
#[template(path = "visits.html")]
struct Visits {
    layout: Layout,
    session: Option<SessionView>,
    config: Data<Config>,
}

struct SessionView {
    visitor_id: Uuid,
    presented: ValidCookie,
    /// How long it took to decrypt the cookie, and to find the session, including decryption.
    times: [Duration; 2],
    id: SessionId,
    row: Row,
    /// The number of visits, and the time of the last one.
    visits: (i64, OffsetDateTime),
}

/// Shows this browser's session, or a link to start one. A client that prefers JSON gets a summary.
pub async fn get(
    request: HttpRequest,
    session: Session,
    pool: Data<PgPool>,
    config: Data<Config>,
) -> Result<HttpResponse, Error> {
    let (found_in, begin) = (since_lookup(&request), Instant::now());
    let presented = ValidCookie::of(&request);
    let times = [begin.elapsed(), found_in];
    let mut view = None;
    if let (Some(visitor_id), Some(presented)) = (session.data().visitor_id, presented)
        && let Some(id) = SessionId::of(&presented.key)
        && let Some(row) = find(&pool, id).await?
    {
        let find = sqlx::query!("select visits, last_visit_at from visitors where id = $1", visitor_id);
        let visitor = find.fetch_optional(&mut *acquire(&pool).await?).await?;
        // Before the second visit, there is only the session's row.
        let visits = visitor.map_or((1, row.created_at), |visitor| (visitor.visits, visitor.last_visit_at));
        view = Some(SessionView { visitor_id, presented, times, id, row, visits });
    }
    if Accept::parse(&request).is_ok_and(|accept| accept.preference() == ContentType::json().0) {
        let summary = view.map(|SessionView { visitor_id, row, visits: (visits, _), .. }| {
            let [expires_at, ends_at] = [row.expires_at, row.ends_at].map(|time| iso(&time));
            json!({ "visitor_id": visitor_id, "visits": visits, "expires_at": expires_at, "ends_at": ends_at })
        });
        return Ok(HttpResponse::Ok().json(summary));
    }
    page(&request, &Visits { layout: Layout::new(&request, !session.is_empty()), session: view, config })
}

struct Row {
    state: String,
    created_at: OffsetDateTime,
    idle: i32,
    seconds_left: i32,
    max_age: i32,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
}

async fn find(pool: &PgPool, id: SessionId) -> sqlx::Result<Option<Row>> {
    let find = sqlx::query_as!(
        Row,
        r#"
        select state::text as "state!", created_at, expires_at, ends_at, idle_seconds as idle,
            greatest(0, floor(extract(epoch from expires_at - now())))::int as "seconds_left!",
            floor(extract(epoch from ends_at - created_at))::int as "max_age!"
        from sessions
        where id = $1
        "#,
        &id.0,
    );
    find.fetch_optional(&mut *acquire(pool).await?).await
}

/// Formats a time in UTC, to the second, for the `datetime` attribute and for JSON.
fn iso(at: &OffsetDateTime) -> String {
    humantime::format_rfc3339_seconds((*at).into()).to_string()
}

/// Formats a time for people to read.
fn text(at: &OffsetDateTime) -> String {
    iso(at).replace('T', ", ").replace('Z', " UTC")
}

/// Returns the last 8 digits of a UUIDv7, which are random. The first ones are the time.
pub(super) fn short(id: Uuid) -> String {
    id.as_simple().to_string().split_off(24)
}

/// Formats a number of seconds, such as `29m 59s`.
fn span(seconds: &i32) -> String {
    humantime::format_duration(Duration::from_secs(seconds.unsigned_abs().into())).to_string()
}

/// Formats a short time, such as `0.42 ms`.
pub(super) fn milliseconds(time: &Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
