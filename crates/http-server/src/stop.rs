//! Stops the server without losing a request.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_server::ServerHandle;
use actix_web::rt;
use tokio::signal::unix::{SignalKind, signal};

use crate::kernel::refuse_connections;

/// Time to accept connections whose handshake has already begun.
const DRAIN: Duration = Duration::from_millis(250);

/// Stops the server. Clones stop the same one.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    listener: Arc<Mutex<Option<TcpListener>>>,
    stopping: Arc<AtomicBool>,
}

impl Stopper {
    pub(crate) fn new(handle: ServerHandle, listener: TcpListener, stopping: Arc<AtomicBool>) -> Self {
        Self { handle, listener: Arc::new(Mutex::new(Some(listener))), stopping }
    }

    /// Stops gracefully. From now on, every response closes its connection. The server still accepts connections for
    /// `linger`, and then lets running requests finish.
    pub async fn stop(&self, linger: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        if !linger.is_zero() {
            tokio::time::sleep(linger).await;
            self.listener.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(refuse_connections);
            tokio::time::sleep(DRAIN).await;
        }
        self.close_listener();
        self.handle.stop(true).await;
    }

    /// Stops gracefully on the first signal, and calls `before` first. After SIGTERM, the server lingers, and after SIGINT
    /// (Ctrl-C), it doesn't. A second signal ends the process at once.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn stop_on_signal(self, linger: Duration, before: impl FnOnce()) -> impl Future<Output = ()> {
        // Registered before the first await, because an unhandled signal would kill the process.
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
        let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
        async move {
            let linger = tokio::select! {
                _ = terminate.recv() => linger,
                _ = interrupt.recv() => Duration::ZERO,
            };
            tracing::info!("stopping");
            before();
            rt::spawn(async move { self.stop(linger).await });
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // What shells report for a program that Ctrl-C ended.
            std::process::exit(130);
        }
    }

    /// Stops at once, and cuts off running requests.
    pub async fn abort(&self) {
        self.close_listener();
        self.handle.stop(false).await;
    }

    fn close_listener(&self) {
        drop(self.listener.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
