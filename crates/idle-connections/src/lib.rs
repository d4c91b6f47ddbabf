#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    dev::Extensions,
    rt,
    web::Bytes,
};

/// Time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The open connections. Clones share them.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<Vec<Weak<Connection>>>>);

impl Connections {
    /// Watches a new connection. Call it in [`actix_web::HttpServer::on_connect`]. A connection with TLS isn't watched.
    pub fn watch(&self, socket: &dyn Any, data: &mut Extensions) {
        let socket = socket.downcast_ref::<rt::net::TcpStream>();
        // Without a free file descriptor, the connection is served but not watched.
        let Some(Ok(socket)) = socket.map(|socket| socket.as_fd().try_clone_to_owned()) else { return };
        let activity = Mutex::new(Activity { requests: 0, since: Instant::now() });
        let connection = Arc::new(Connection { socket: socket.into(), activity });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Closes connections that have been idle for longer than `limit`. Checks once a second, and never returns.
    pub async fn close_idle(self, limit: Duration) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|connection| {
                let Some(connection) = connection.upgrade() else { return false };
                if connection.is_idle_for(limit) {
                    tracing::debug!("closing an idle connection");
                    // It may already be closed.
                    let _ = connection.socket.shutdown(Shutdown::Both);
                }
                true
            });
        }
    }
}

/// An open connection. Its requests find it in their `conn_data`.
struct Connection {
    socket: TcpStream,
    activity: Mutex<Activity>,
}

struct Activity {
    /// Number of running requests. HTTP/2 has several at a time.
    requests: usize,
    /// When this number last changed.
    since: Instant,
}

impl Connection {
    fn is_idle_for(&self, limit: Duration) -> bool {
        let activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        activity.requests == 0 && activity.since.elapsed() > limit
    }

    fn change(&self, change: impl FnOnce(&mut usize)) {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut activity.requests);
        activity.since = Instant::now();
    }
}

/// Keeps a connection busy until it is dropped. Create it in the outermost middleware.
pub struct Busy(Option<Arc<Connection>>);

impl Busy {
    /// Marks the connection of `request` as busy.
    pub fn new(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        connection.iter().for_each(|connection| connection.change(|requests| *requests += 1));
        Self(connection)
    }

    /// Keeps the connection busy until `body` is sent, because a long download is not idle.
    pub fn until_sent(self, body: BoxBody) -> BusyBody {
        BusyBody { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.iter().for_each(|connection| connection.change(|requests| *requests -= 1));
    }
}

/// A response body that keeps its connection busy.
pub struct BusyBody {
    body: BoxBody,
    _busy: Busy,
}

impl MessageBody for BusyBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
