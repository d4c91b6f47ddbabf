//! `/health/live` and `/health/ready`, for load balancers and orchestrators: whether the process runs, and whether it can
//! serve pages.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use anyhow::{Context, ensure};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::Readiness;

/// An answer after this is no answer. Below a second by what a busy machine needs to say so.
const TIMEOUT: Duration = Duration::from_millis(700);

/// 200 while the process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}

/// 200 when the schema is up to date, the database answers and takes writes, and the process is not about to stop; else
/// 503. Within a second.
pub async fn ready(readiness: Data<Readiness>, pool: Data<PgPool>) -> HttpResponse {
    // Every visit writes: a replica, or a database that was made read-only, can serve none.
    let ping = sqlx::query_scalar!(
        r#"
        select current_setting('transaction_read_only') = 'off' as "takes_writes!"
        "#
    )
    .fetch_one(&**pool);
    let can_serve = readiness.is_ready() && matches!(tokio::time::timeout(TIMEOUT, ping).await, Ok(Ok(true)));
    let (mut response, body) = match can_serve {
        true => (HttpResponse::Ok(), "ready\n"),
        false => (HttpResponse::ServiceUnavailable(), "not ready\n"),
    };
    response.content_type(ContentType::plaintext()).body(body)
}

/// Asks the process that listens on `address` whether it is ready, for a container that has no curl.
///
/// # Errors
/// It is not, or does not answer.
pub async fn check(mut address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head)
    };
    let head = tokio::time::timeout(2 * TIMEOUT, answer).await.context("no answer in time")??;
    ensure!(&head == b"HTTP/1.1 200", "not ready");
    Ok(())
}
