#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connection;
mod exchange;
mod health;
mod host;
mod io;
mod kernel;
mod request;
mod stop;

use std::{
    future::ready,
    io::Result,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_http::{HttpService, Request, body::MessageBody};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::{
    Error,
    dev::{AppConfig, ServiceResponse},
    rt::{self, net::TcpStream},
};

use crate::{connection::Connections, io::Io};

pub use health::check;
pub use host::has_valid_host;
pub use request::{RequestLimits, limit_request};
pub use stop::Stopper;

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of connections. When 7/8 of them are in use, each new connection closes the one that has
    /// been idle for longest.
    pub connections: usize,
    /// Time limit for the head of a connection's first request. After that, the response is 408.
    pub head: Duration,
    /// Time after which an idle connection is closed. Load balancers should close it first.
    pub keep_alive: Duration,
    /// Time after which a connection is closed if its client reads nothing of a response.
    pub stall: Duration,
    /// Time limit for running requests when the server stops, in whole seconds.
    pub grace: Duration,
}

impl Limits {
    /// Longer than the limits that actix-http enforces itself. It has none for a head after the first one, or for the
    /// rest of a body that no handler reads.
    fn idle(&self) -> Duration {
        self.keep_alive + self.head
    }
}

/// A server that listens. It doesn't serve before it is awaited.
pub struct HttpServer {
    /// The server, to be awaited. It returns when it has stopped.
    pub server: Server,
    /// The address, with the port that the system chose if it was 0.
    pub address: SocketAddr,
    /// Stops the server.
    pub stopper: Stopper,
}

impl HttpServer {
    /// Listens on `address`. Each worker calls `app` once.
    ///
    /// # Errors
    /// Returns an error if the address can't be used.
    pub fn bind<A, S, B>(
        address: SocketAddr,
        workers: usize,
        limits: Limits,
        app: impl Fn() -> A + Clone + Send + 'static,
    ) -> Result<Self>
    where
        A: IntoServiceFactory<S, Request>,
        S: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<B>,
                Error = Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        let listener = TcpListener::bind(address)?;
        kernel::limit_unsent(&listener);
        let address = listener.local_addr()?;
        let places = limits.connections.div_ceil(workers);
        let stopping = Arc::<AtomicBool>::default();
        let builder = Server::build()
            .workers(workers)
            .max_concurrent_connections(places)
            .disable_signals()
            .shutdown_timeout(limits.grace.as_secs());
        let signal = builder.graceful_shutdown_signal();
        let shared = stopping.clone();
        let service = move || {
            let connections = Connections::new(places, limits, shared.clone());
            rt::spawn(connections.clone().close_expired());
            let signal = signal.clone();
            let http = HttpService::build()
                .keep_alive(limits.keep_alive)
                .client_request_timeout(limits.head)
                .client_disconnect_timeout(Duration::from_secs(1))
                .graceful_shutdown_signal(move || {
                    let signal = signal.clone();
                    async move { signal.notified().await }
                })
                .local_addr(address)
                .on_connect_ext(|io: &Io, data| drop(data.insert(io.connection().clone())))
                .h1(apply_fn_factory(map_config(app(), |()| AppConfig::default()), exchange::exchange));
            fn_service(move |socket: TcpStream| {
                let io = Io::new(socket, connections.add());
                let peer = io.peer_address();
                ready(Ok((io, peer)))
            })
            .and_then(http)
        };
        let server = builder.listen("http", listener.try_clone()?, service)?.run();
        let stopper = Stopper::new(server.handle(), listener, stopping);
        Ok(Self { server, address, stopper })
    }
}
