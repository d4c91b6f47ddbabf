//! HTTP/1.1 by hand, so that a test sees every byte, every connection and every delay.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time limit for each read and write. It is longer than any time that a test measures.
const LONGEST: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub took: Duration,
}

impl Answer {
    /// Reads one response. Returns an error if the connection closes before the end of the head.
    pub fn read(from: &mut impl BufRead, begin: Instant) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head)? == 0 {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    format!("the connection was closed after {head:?}"),
                ));
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Self {
            status: status.ok_or_else(|| Error::other(head.clone()))?,
            head,
            body: String::new(),
            took: Duration::ZERO,
        };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        from.take(length).read_to_string(&mut answer.body)?;
        answer.took = begin.elapsed();
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn closes_connection(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn element(&self, id: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!(r#"id="{id}""#))?;
        let (_, text) = rest.split_once('>')?;
        text.split_once('<').map(|(text, _)| text)
    }

    pub fn visitor(&self) -> &str {
        self.element("visitor").unwrap_or_else(|| panic!("no user in {self:#?}"))
    }

    pub fn visits(&self) -> u64 {
        let visits = self.element("visits").and_then(|visits| visits.parse().ok());
        visits.unwrap_or_else(|| panic!("no visits in {self:#?}"))
    }

    /// Checks that this is the page for outages, which leaves the browser's cookie alone.
    pub fn assert_is_503_page(&self) {
        assert_eq!((self.status, self.header("retry-after")), (503, Some("5")), "{self:#?}");
        assert!(self.header("set-cookie").is_none(), "{self:#?}");
        self.assert_is_error_page();
    }

    /// Checks that this is an error page with the request's ID and every security header.
    pub fn assert_is_error_page(&self) {
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name} {self:#?}");
        }
        let policy = self.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'"), "{self:#?}");
        assert!(self.header("permissions-policy").is_some(), "{self:#?}");
        let id = self.request_id();
        assert!(id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'), "{self:#?}");
    }

    /// Returns the request ID on an error page.
    pub fn request_id(&self) -> &str {
        let id = self.body.split_once(r#"<code class="all">"#).and_then(|(_, rest)| rest.split_once('<'));
        id.unwrap_or_else(|| panic!("no request ID in {self:#?}")).0
    }

    /// Checks that the response makes the browser use HTTPS, as every response does with secure cookies.
    pub fn assert_asks_for_https(&self) {
        assert_eq!(self.header("strict-transport-security"), Some("max-age=63072000"), "{self:#?}");
    }
}

/// The session cookies that visitors have received, each with its server. None of them may appear in that server's log.
static COOKIES: Mutex<Vec<(SocketAddr, String)>> = Mutex::new(Vec::new());

/// Returns the values of the first hundred cookies from this server.
pub fn cookies_from(server: SocketAddr) -> Vec<String> {
    let cookies = COOKIES.lock().unwrap_or_else(PoisonError::into_inner);
    let from_it = cookies.iter().filter(|(from, _)| *from == server);
    from_it.map(|(_, value)| value.clone()).take(100).collect()
}

/// A browser with a cookie and one persistent connection.
pub struct Visitor {
    pub address: SocketAddr,
    pub connection: Option<BufReader<TcpStream>>,
    pub cookie: Option<String>,
}

impl Visitor {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, cookie: None }
    }

    /// Sends all later requests to this address, with the same cookie.
    pub fn moves_to(&mut self, address: SocketAddr) {
        *self = Self { cookie: self.cookie.take(), ..Self::new(address) };
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn try_get(&mut self, path: &str) -> io::Result<Answer> {
        self.try_get_with(path, "")
    }

    /// Sends a GET request with additional headers, each with its line break.
    pub fn try_get_with(&mut self, path: &str, headers: &str) -> io::Result<Answer> {
        let begin = Instant::now();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address)?),
        };
        let cookie = self.cookie.iter().map(|cookie| format!("Cookie: {cookie}\r\n")).collect::<String>();
        write!(connection.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{cookie}\r\n")?;
        let answer = Answer::read(&mut connection, begin)?;
        if let Some(set) = answer.header("set-cookie").and_then(|set| set.split(';').next()) {
            self.cookie = Some(set.to_owned());
            if let Some((_, value)) = set.split_once("id=").filter(|(_, value)| !value.is_empty()) {
                let mut cookies = COOKIES.lock().unwrap_or_else(PoisonError::into_inner);
                cookies.push((self.address, value.to_owned()));
            }
        }
        if !answer.closes_connection() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

/// Sends a GET request on a new connection, without a cookie.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    Visitor::new(address).get(path)
}

/// Opens a connection. Its reads and writes fail after [`LONGEST`].
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&address, LONGEST)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(LONGEST))?;
    connection.set_write_timeout(Some(LONGEST))?;
    Ok(connection)
}

/// Sends these bytes on a new connection, and reads one response.
pub fn send(address: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut connection = connect(address)?;
    let begin = Instant::now();
    // A server that refuses the request may not read the rest.
    let _ = connection.write_all(bytes);
    Answer::read(&mut BufReader::new(connection), begin)
}
