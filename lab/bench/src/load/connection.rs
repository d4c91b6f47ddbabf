//! HTTP/1.1 on a persistent connection. Each request waits for the response to the previous one.

use std::{net::SocketAddr, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{net::TcpStream, time::sleep};

/// More headers than any of the servers sends.
const HEADERS: usize = 48;

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    received: Vec<u8>,
}

#[derive(Debug)]
pub struct Response<'a> {
    pub status: u16,
    /// The first cookie that it sets, as `name=value`.
    pub cookie: Option<String>,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, address, received: Vec::with_capacity(16 * 1024) })
    }

    /// Connects again after an error. If that fails too, the next request reports it.
    pub async fn reopen(&mut self) {
        match Connection::open(self.address).await {
            Ok(fresh) => *self = fresh,
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }

    /// Requests a path, with this cookie unless it's empty.
    pub async fn get(&mut self, path: &str, cookie: &str) -> Result<Response<'_>, &'static str> {
        let name = if cookie.is_empty() { "" } else { "\r\nCookie: " };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost{name}{cookie}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.map_err(|_| "connection lost")?;
        self.received.clear();
        loop {
            let count = self.stream.read_buf(&mut self.received).await;
            if count.is_err() || count.is_ok_and(|count| count == 0) {
                return Err("connection lost");
            }
            if response(&self.received)?.is_some_and(|(response, length)| response.body.len() >= length) {
                break;
            }
        }
        let response = response(&self.received)?.filter(|(response, length)| response.body.len() == *length);
        response.map(|(response, _)| response).ok_or("more than one response")
    }
}

/// Parses a response whose head is complete. Returns it with the part of the body received so far, and the
/// length of the whole body.
fn response(received: &[u8]) -> Result<Option<(Response<'_>, usize)>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(received) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(head)) => head,
        Err(_) => return Err("not HTTP"),
    };
    let header = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(header.value).ok()
    };
    let length = header("content-length").and_then(|length| length.parse().ok());
    let cookie = header("set-cookie").and_then(|cookie| Some(cookie.split(';').next()?.to_owned()));
    let response = Response { status: parsed.code.unwrap_or_default(), cookie, body: &received[head..] };
    Ok(Some((response, length.ok_or("a response without a length")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_its_head_is_complete() {
        let text = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=k3y; Path=/\r\ncontent-length: 5\r\n\r\nhello";

        assert!(response(&text[..40]).unwrap().is_none());
        let (response, length) = super::response(text).unwrap().unwrap();

        assert_eq!((response.status, response.cookie.as_deref()), (200, Some("id=k3y")));
        assert_eq!((response.body, length), (&b"hello"[..], 5));
        assert!(super::response(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "the length is unknown");
    }
}
