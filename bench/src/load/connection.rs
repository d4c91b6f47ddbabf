//! HTTP/1.1 over one connection that stays open: one request, one answer, and the next.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// More than any of the servers sends.
const HEADERS: usize = 48;

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    request: Vec<u8>,
    received: Vec<u8>,
}

/// What a server answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// 200 for a page.
    pub status: u16,
    /// The first cookie that it sets, as `name=value`.
    pub cookie: Option<Vec<u8>>,
    body: std::ops::Range<usize>,
    closes: bool,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, address)
    }

    /// Takes over a socket that is connected to `address`, whichever thread has opened it.
    pub fn adopt(socket: std::net::TcpStream, address: SocketAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::over(TcpStream::from_std(socket)?, address)
    }

    fn over(stream: TcpStream, address: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Connection { stream, address, request: Vec::new(), received: Vec::with_capacity(16 * 1024) })
    }

    /// Connects anew, if need be as often as a second has hundredths.
    pub async fn reopen(&mut self) -> io::Result<()> {
        let mut attempts = 100;
        loop {
            match Connection::open(self.address).await {
                Ok(fresh) => break *self = fresh,
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
            attempts -= 1;
        }
        Ok(())
    }

    /// Asks for a path, with this cookie or none.
    pub async fn get(&mut self, path: &str, cookie: &[u8]) -> io::Result<Answer> {
        self.request.clear();
        for part in [b"GET ", path.as_bytes(), b" HTTP/1.1\r\nHost: localhost\r\n"] {
            self.request.extend_from_slice(part);
        }
        if !cookie.is_empty() {
            for part in [b"Cookie: ", cookie, b"\r\n"] {
                self.request.extend_from_slice(part);
            }
        }
        self.request.extend_from_slice(b"\r\n");
        self.stream.write_all(&self.request).await?;
        let answer = self.receive().await?;
        if answer.closes {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(answer)
    }

    /// The body of the last answer.
    pub fn body(&self, answer: &Answer) -> &[u8] {
        &self.received[answer.body.clone()]
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        self.received.clear();
        let answer = loop {
            self.read().await?;
            if let Some(answer) = head(&self.received)? {
                break answer;
            }
        };
        while self.received.len() < answer.body.end {
            self.read().await?;
        }
        match self.received.len() == answer.body.end {
            true => Ok(answer),
            false => Err(io::Error::other("more than was asked for")),
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The answer, once its head is there as a whole.
fn head(received: &[u8]) -> io::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(received).map_err(io::Error::other)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let mut answer = Answer { status: response.code.unwrap_or_default(), ..Answer::default() };
    let mut body = None;
    for header in response.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            body = str::from_utf8(header.value).ok().and_then(|text| text.parse::<usize>().ok());
        } else if header.name.eq_ignore_ascii_case("set-cookie") && answer.cookie.is_none() {
            answer.cookie = header.value.split(|&byte| byte == b';').next().map(<[u8]>::to_vec);
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let body = body.ok_or_else(|| io::Error::other("an answer without a length"))?;
    answer.body = length..length + body;
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=k3y; Path=/\r\ncontent-length: 5\r\n\r\nhello";

        assert!(head(&text[..40]).unwrap().is_none());
        let answer = head(text).unwrap().unwrap();

        assert_eq!(answer.status, 200);
        assert_eq!(answer.cookie.as_deref(), Some(&b"id=k3y"[..]));
        assert_eq!(&text[answer.body], b"hello");
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
