//! `GET /health/live` and `GET /health/ready`, for load balancers and orchestrators.

use std::{net::SocketAddr, time::Duration};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use anyhow::Context;
use sqlx::PgPool;
use sqlx_batcher::acquire;
use tokio::time::timeout;

use crate::server::Readiness;

/// Time limit for the readiness check. Many load balancers only wait for one second.
const READY_TIMEOUT: Duration = Duration::from_millis(700);

/// Answers 200 while the process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}

/// Answers 200 if the app can serve a visit, or else 503. The log says why, each time the reason changes.
pub async fn ready(readiness: Data<Readiness>, pool: Data<PgPool>) -> HttpResponse {
    let can_serve = can_serve(&readiness, &pool).await;
    let mut response = if can_serve { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.content_type(ContentType::plaintext()).body(if can_serve { "ready\n" } else { "not ready\n" })
}

/// Returns whether the app can serve a visit. Logs why not, each time the reason changes.
pub(crate) async fn can_serve(readiness: &Readiness, pool: &PgPool) -> bool {
    if !readiness.is_ready() {
        return false;
    }
    let problem = match timeout(READY_TIMEOUT, check_database(pool)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the database did not answer within {READY_TIMEOUT:?}")),
    };
    let is_ready = problem.is_none();
    readiness.report(problem);
    is_ready
}

/// Runs the statements of a visit, a login and a logout on no rows. This fails if a table or a privilege is missing, and on
/// a standby server. It also fails if the connection has no time limit, because a pooler dropped the setting.
async fn check_database(pool: &PgPool) -> sqlx::Result<()> {
    let is_limited = sqlx::query_scalar!(
        r#"
        with started as (
            insert into sessions (id, state, expires_at)
            select '', '{}', now()
            where false
        ),
        changed as (update sessions set state = state, expires_at = now() where false),
        ended as (delete from sessions where false),
        counted as (
            insert into visitors (id, visits)
            select gen_random_uuid(), 1
            where false
            on conflict (id) do update set visits = visitors.visits + 1
        )
        select current_setting('statement_timeout')::interval between '1 ms' and '2 s' as "is_limited!"
        where not exists (select from sessions where id = '')
        "#
    );
    match is_limited.fetch_one(&mut *acquire(pool).await?).await? {
        true => Ok(()),
        false => Err(sqlx::Error::Configuration(
            "statement_timeout must be 2s or less; set it for the role".into(),
        )),
    }
}

/// Asks the app that listens on `address` whether it is ready.
///
/// # Errors
/// Returns an error if the app is not ready or doesn't answer.
pub fn check(address: SocketAddr) -> anyhow::Result<()> {
    http_server::check(address, "/health/ready", 2 * READY_TIMEOUT).context("not ready")
}
