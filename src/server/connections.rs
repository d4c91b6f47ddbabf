//! Closes connections on which nothing can come of waiting.
//!
//! actix-http limits the time for the head of a connection's first request, and closes a connection that keeps silent
//! between two requests. It has no limit for a second head that begins and does not end, nor for a body in chunks that
//! nobody reads any more: a client could hold as many connections as it likes, for ever, with one byte on each.
//!
//! The price is a second file descriptor for each connection, because actix-http gives nobody a way to end its own.

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
    Error,
    body::{BodySize, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
    web::Bytes,
};
use pin_project_lite::pin_project;

/// Between two looks at the connections.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The connections that are open. Clones share them.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<Vec<Weak<Connection>>>>);

/// One connection, for as long as actix-http keeps it; its requests find it as their `conn_data`.
struct Connection {
    /// The same socket once more.
    socket: TcpStream,
    /// When its last answer was given; `None` while a request is at work.
    idle_since: Mutex<Option<Instant>>,
}

impl Connections {
    /// Watches a connection that was just accepted: for [`actix_web::HttpServer::on_connect`].
    pub fn watch(&self, socket: &dyn Any, data: &mut Extensions) {
        let socket =
            socket.downcast_ref::<rt::net::TcpStream>().map(|socket| socket.as_fd().try_clone_to_owned());
        // Out of file descriptors, we serve it unwatched.
        let Some(Ok(socket)) = socket else { return };
        let idle_since = Mutex::new(Some(Instant::now()));
        let connection = Arc::new(Connection { socket: socket.into(), idle_since });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Closes those that have been without a request at work for `limit`, until it is dropped.
    pub async fn close_idle(self, limit: Duration) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|connection| {
                let Some(connection) = connection.upgrade() else { return false };
                if connection.is_idle_for(limit) {
                    tracing::debug!("closing a connection on which no request arrives");
                    // The other end may have gone first.
                    let _ = connection.socket.shutdown(Shutdown::Both);
                }
                true
            });
        }
    }
}

impl Connection {
    fn is_idle_for(&self, limit: Duration) -> bool {
        let since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > limit)
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Tells the watch that a request is at work, until the last byte of its answer is handed over: the outermost
/// middleware.
///
/// # Errors
/// Those of the request.
pub async fn at_work(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let at_work = request.request().conn_data::<Arc<Connection>>().cloned().map(AtWork::on);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Watched { body, _at_work: at_work }))
}

pin_project! {
    /// A body that is sent while its request still counts as at work: a long download is not silence.
    struct Watched<B> {
        #[pin]
        body: B,
        _at_work: Option<AtWork>,
    }
}

impl<B: MessageBody> MessageBody for Watched<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.project().body.poll_next(context)
    }
}

/// Ends with the answer, or when actix-http drops the request because its client has gone.
struct AtWork(Arc<Connection>);

impl AtWork {
    fn on(connection: Arc<Connection>) -> Self {
        connection.set_idle_since(None);
        Self(connection)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.set_idle_since(Some(Instant::now()));
    }
}
