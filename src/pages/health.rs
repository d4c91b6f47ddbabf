//! `GET /health/live` and `GET /health/ready`, for load balancers and orchestrators.

use std::{net::SocketAddr, time::Duration};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use anyhow::Context;
use batcher::acquire;
use sqlx::PgPool;
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
    let can_serve = readiness.is_ready() && {
        let problem = match timeout(READY_TIMEOUT, check_database(&pool)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the database did not answer within {READY_TIMEOUT:?}")),
        };
        let is_ready = problem.is_none();
        readiness.report(problem);
        is_ready
    };
    match can_serve {
        true => HttpResponse::Ok().content_type(ContentType::plaintext()).body("ready\n"),
        false => {
            HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body("not ready\n")
        }
    }
}

/// Runs the statements of a visit, a login and a logout on no rows. This fails if a table or a right is missing, and on a
/// standby server.
async fn check_database(pool: &PgPool) -> sqlx::Result<()> {
    let check = sqlx::query!(
        "
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
        select from sessions where id = ''
        "
    );
    check.fetch_optional(&mut *acquire(pool).await?).await?;
    Ok(())
}

/// Asks the app that listens on `address` whether it is ready.
///
/// # Errors
/// Returns an error if the app is not ready or doesn't answer.
pub fn check(address: SocketAddr) -> anyhow::Result<()> {
    http_server::check(address, "/health/ready", 2 * READY_TIMEOUT).context("not ready")
}
