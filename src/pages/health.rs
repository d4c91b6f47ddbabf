//! `GET /health/live` and `GET /health/ready`, for load balancers and orchestrators.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use anyhow::ensure;

use crate::{limits::READY_TIMEOUT, readiness::Readiness};

/// Returns 200 while the process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}

/// Returns 200 if the app can serve a visit, and 503 otherwise. The reason is logged each time it changes.
pub async fn ready(readiness: Data<Readiness>) -> HttpResponse {
    let is_ready = readiness.check().await;
    let mut response = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.content_type(ContentType::plaintext()).body(if is_ready { "ready\n" } else { "not ready\n" })
}

/// Fails unless the app that listens on `address` is ready. This is for containers without curl.
pub fn check(mut address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&address, 2 * READY_TIMEOUT)?;
    stream.set_read_timeout(Some(2 * READY_TIMEOUT))?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(head == *b"HTTP/1.1 200", "the status is not 200");
    Ok(())
}
