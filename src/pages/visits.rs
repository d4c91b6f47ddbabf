//! `GET /visits`: your count, and your session from the cookie to the rows, so that a learner sees how it works. Counts
//! nothing and starts nothing.

use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web::Data};
use askama::Template;
use sqlx::{PgPool, postgres::types::PgInterval};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Moment, assets::Assets, in_words, page, short};
use crate::{
    Config, Error,
    middleware::session_cookie::{PresentedCookie, SessionCookie},
    session::{GRACE, SessionId, TypedSession},
};

#[derive(Template)]
#[template(path = "visits.html")]
struct Visits {
    assets: &'static Assets,
    here: &'static str,
    session: Option<SessionView>,
}

struct SessionView {
    user_id: String,
    short_id: String,
    visits: i64,
    first_visit: Moment,
    last_visit: Moment,
    created: Moment,
    expires: Moment,
    ends: Moment,
    time_left: String,
    seconds_left: i64,
    idle_seconds: u64,
    idle_timeout: String,
    max_age: String,
    cookie: CookieView,
    row: RowView,
}

struct CookieView {
    name: &'static str,
    value_start: String,
    bytes: usize,
    attributes: Vec<&'static str>,
}

struct RowView {
    id_start: String,
    state: String,
}

/// Your own session, or an invitation to start one.
///
/// # Errors
/// The database's.
pub async fn get(
    request: HttpRequest,
    session: TypedSession,
    pool: Data<PgPool>,
    config: Data<Config>,
    cookie: Data<SessionCookie>,
) -> Result<HttpResponse, Error> {
    let presented = request.extensions().get::<PresentedCookie>().cloned();
    let view = match (session.user_id(), presented) {
        (Some(user_id), Some(PresentedCookie { value, session: Some(id) })) => {
            let details = details(&pool, id, user_id, config.session_max_age).await?;
            let cookie = CookieView::new(&cookie, &value);
            details.map(|details| SessionView::new(user_id, id, details, cookie, &config))
        }
        _ => None,
    };
    page(&Visits { assets: Assets::get(), here: "visits", session: view })
}

struct Details {
    state: String,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    seconds_left: i64,
    visits: i64,
    first_visit_at: OffsetDateTime,
    last_visit_at: OffsetDateTime,
}

async fn details(
    pool: &PgPool,
    id: SessionId,
    user_id: Uuid,
    max_age: Duration,
) -> sqlx::Result<Option<Details>> {
    sqlx::query_as!(
        Details,
        r#"
        select
            sessions.state::text as "state!",
            sessions.created_at,
            least(sessions.expires_at, sessions.created_at + $3::interval) as "expires_at!",
            sessions.created_at + $3::interval as "ends_at!",
            floor(extract(epoch from
                least(sessions.expires_at, sessions.created_at + $3::interval) - now()))::bigint as "seconds_left!",
            users.visits,
            users.first_visit_at,
            users.last_visit_at
        from sessions
        join users on users.id = $2
        where sessions.id = $1 or sessions.previous_id = $1 and sessions.rotated_at > now() - $4::interval
        "#,
        &id.0,
        user_id,
        PgInterval::try_from(max_age).expect("the configuration allows whole seconds, up to 400 days") as _,
        GRACE as _,
    )
    .fetch_optional(pool)
    .await
}

impl SessionView {
    fn new(user_id: Uuid, id: SessionId, details: Details, cookie: CookieView, config: &Config) -> Self {
        let seconds_left = details.seconds_left.max(0);
        Self {
            user_id: user_id.to_string(),
            short_id: short(user_id),
            visits: details.visits,
            first_visit: details.first_visit_at.into(),
            last_visit: details.last_visit_at.into(),
            created: details.created_at.into(),
            expires: details.expires_at.into(),
            ends: details.ends_at.into(),
            time_left: in_words(Duration::from_secs(seconds_left.unsigned_abs())),
            seconds_left,
            idle_seconds: config.session_idle_timeout.as_secs(),
            idle_timeout: in_words(config.session_idle_timeout),
            max_age: in_words(config.session_max_age),
            cookie,
            row: RowView { id_start: id.start(), state: details.state },
        }
    }
}

impl CookieView {
    fn new(cookie: &SessionCookie, value: &str) -> Self {
        let mut attributes = vec!["HttpOnly", "SameSite=Lax", "Path=/"];
        if cookie.secure {
            attributes.push("Secure");
        }
        Self {
            name: cookie.name,
            value_start: value.chars().take(12).collect(),
            bytes: value.len(),
            attributes,
        }
    }
}
