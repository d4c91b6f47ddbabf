//! HTTP/1.1 on a connection that stays open: one request, one response, and the next.

use std::{io, net::SocketAddr, ops::Range, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// More headers than any of the servers sends.
const HEADERS: usize = 48;

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    request: Vec<u8>,
    received: Vec<u8>,
}

/// The head of a response.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    /// The first cookie that it sets, as `name=value`.
    pub cookie: Option<Vec<u8>>,
    /// Where its body is.
    pub body: Range<usize>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::new(std::net::TcpStream::connect(address)?, address)
    }

    /// Takes over a socket that is connected to `address`.
    pub fn new(socket: std::net::TcpStream, address: SocketAddr) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket)?;
        Ok(Connection { stream, address, request: Vec::new(), received: Vec::with_capacity(16 * 1024) })
    }

    /// Connects again after an error. If that fails too, the next request reports it.
    pub async fn reopen(&mut self) {
        match Connection::open(self.address) {
            Ok(fresh) => *self = fresh,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }

    /// Requests a path, with this cookie unless it's empty.
    pub async fn get(&mut self, path: &str, cookie: &[u8]) -> Result<Response, &'static str> {
        let cookie_name: &[u8] = if cookie.is_empty() { b"" } else { b"\r\nCookie: " };
        self.request.clear();
        let parts =
            [b"GET ", path.as_bytes(), b" HTTP/1.1\r\nHost: localhost", cookie_name, cookie, b"\r\n\r\n"];
        parts.iter().for_each(|part| self.request.extend_from_slice(part));
        self.stream.write_all(&self.request).await.map_err(|_| "connection lost")?;
        self.received.clear();
        let response = loop {
            self.read().await?;
            if let Some(response) = head(&self.received)? {
                break response;
            }
        };
        while self.received.len() < response.body.end {
            self.read().await?;
        }
        let is_complete = self.received.len() == response.body.end;
        is_complete.then_some(response).ok_or("more than one response")
    }

    /// Returns the body of the last response.
    pub fn body(&self, response: &Response) -> &[u8] {
        &self.received[response.body.clone()]
    }

    async fn read(&mut self) -> Result<(), &'static str> {
        match self.stream.read_buf(&mut self.received).await {
            Ok(1..) => Ok(()),
            _ => Err("connection lost"),
        }
    }
}

/// Returns the response once its head is complete.
fn head(received: &[u8]) -> Result<Option<Response>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(received) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(length)) => length,
        Err(_) => return Err("not HTTP"),
    };
    let mut response = Response { status: parsed.code.unwrap_or_default(), ..Response::default() };
    let mut body = None;
    for header in parsed.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            body = str::from_utf8(header.value).ok().and_then(|text| text.parse::<usize>().ok());
        } else if header.name.eq_ignore_ascii_case("set-cookie") && response.cookie.is_none() {
            response.cookie = header.value.split(|&byte| byte == b';').next().map(<[u8]>::to_vec);
        }
    }
    response.body = length..length + body.ok_or("a response without a length")?;
    Ok(Some(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_its_head_is_complete() {
        let text = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=k3y; Path=/\r\ncontent-length: 5\r\n\r\nhello";

        assert!(head(&text[..40]).unwrap().is_none());
        let response = head(text).unwrap().unwrap();

        assert_eq!((response.status, response.cookie.as_deref()), (200, Some(&b"id=k3y"[..])));
        assert_eq!(&text[response.body], b"hello");
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "the length is unknown");
    }
}
