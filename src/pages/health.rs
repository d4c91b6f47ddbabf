//! `GET /health/live` and `GET /health/ready`, for load balancers and orchestrators.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use anyhow::ensure;
use sqlx::PgPool;

use crate::server::Readiness;

/// Time limit for the readiness check. Many load balancers only wait for one second.
const READY_TIMEOUT: Duration = Duration::from_millis(700);

/// Answers 200 while the process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}

/// Answers 200 if the schema is up to date, the database accepts writes and the app isn't stopping, or else 503.
pub async fn ready(readiness: Data<Readiness>, pool: Data<PgPool>) -> HttpResponse {
    // A standby server or a read-only database can't serve visits, because each visit writes.
    let ping = sqlx::query_scalar!(
        r#"
        select current_setting('transaction_read_only') = 'off' as "takes_writes!"
        "#
    )
    .fetch_one(&**pool);
    let can_serve =
        readiness.is_ready() && matches!(tokio::time::timeout(READY_TIMEOUT, ping).await, Ok(Ok(true)));
    let (mut response, body) = match can_serve {
        true => (HttpResponse::Ok(), "ready\n"),
        false => (HttpResponse::ServiceUnavailable(), "not ready\n"),
    };
    response.content_type(ContentType::plaintext()).body(body)
}

/// Asks the app that listens on `address` whether it is ready. This is for containers without curl.
///
/// # Errors
/// Returns an error if the app is not ready or doesn't answer.
pub fn check(mut address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&address, 2 * READY_TIMEOUT)?;
    stream.set_read_timeout(Some(2 * READY_TIMEOUT))?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(&head == b"HTTP/1.1 200", "not ready");
    Ok(())
}
