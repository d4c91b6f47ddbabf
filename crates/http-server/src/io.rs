//! The socket of a connection. Actix-http reads until no data is left, so this type limits how much it sees.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, Take},
    runtime::Handle,
};

use crate::connection::{Connection, State};

/// Maximum number of bytes that actix-http receives before it handles them. It keeps all requests in there in memory,
/// with about 4 KiB for each. The shortest request has 16 bytes.
const MAX_READ: u64 = 2 * 1024;

/// How long, and how many bytes, the server keeps reading after the last response. If it closed a connection with unread
/// data, the client might lose the response. See "lingering close" in RFC 9112, section 9.6.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: u64 = 1024 * 1024;

pub struct Io {
    /// `None` after [`Drop`] has begun.
    socket: Option<Take<TcpStream>>,
    connection: Rc<Connection>,
    /// Whether the last read reached its limit, so that there may be more.
    has_more: bool,
}

impl Io {
    pub fn new(socket: TcpStream, connection: Rc<Connection>) -> Self {
        Self { socket: Some(socket.take(MAX_READ)), connection, has_more: false }
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.get_ref().peer_addr().ok()
    }

    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn socket(&mut self) -> &mut Take<TcpStream> {
        self.socket.as_mut().expect("it is there until `drop`")
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.remember(context.waker());
        if self.connection.pauses_reading() {
            let has_unread = self.socket().get_ref().poll_read_ready(context).is_ready();
            self.connection.set_unread(has_unread);
            return Poll::Pending;
        }
        if std::mem::take(&mut self.has_more) {
            // Actix-http reads until the socket is pending. Then it handles what it has, and reads again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let socket = self.socket();
        socket.set_limit(MAX_READ);
        ready!(Pin::new(&mut *socket).poll_read(context, buffer))?;
        self.has_more = socket.limit() == 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.connection.state() == State::Aborted {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.connection.remember(context.waker());
        let outcome = Pin::new(self.socket().get_mut()).poll_write(context, bytes);
        self.connection.set_stalled(outcome.is_pending());
        outcome
    }

    /// Returns an error to close the connection. Actix-http calls this whenever the task runs and nothing is left to
    /// write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.connection.state() {
            State::Closing | State::Aborted => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket().get_mut()).poll_shutdown(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if !self.connection.is_last_response() {
            return;
        }
        if let (Some(socket), Ok(runtime)) = (self.socket.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LINGER, linger(socket)));
        }
    }
}

/// Announces the end of the connection, and drops what the client still sends.
async fn linger(mut socket: Take<TcpStream>) -> io::Result<()> {
    socket.get_mut().shutdown().await?;
    socket.set_limit(MAX_LINGER_BYTES);
    tokio::io::copy(&mut socket, &mut tokio::io::sink()).await?;
    Ok(())
}
