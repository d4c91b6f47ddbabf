//! A health check of a running server.

use std::{
    io::{Error, Read, Result, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// Sends a GET request for `path` to the server that listens on `address`. This is for containers without curl.
///
/// # Errors
/// Returns an error if the status is not 200, or if a step takes longer than `timeout`.
pub fn check(mut address: SocketAddr, path: &str, timeout: Duration) -> Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    match &head == b"HTTP/1.1 200" {
        true => Ok(()),
        false => Err(Error::other("the status is not 200")),
    }
}
