//! How the app stops.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::{dev::ServerHandle, rt, web::Data};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Time between SIGTERM and the end of listening. Load balancers see that `/health/ready` fails, and clients leave their
/// connections ([`crate::middleware::connection`]).
const LINGER: Duration = Duration::from_secs(2);

/// Time limit for requests that are still running after that, in whole seconds. No request takes longer, because of
/// [`crate::middleware::deadline`] and [`crate::middleware::request_limits`].
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Whether the app can serve pages. Shared by all workers.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Whether the schema is up to date.
    pub migrated: AtomicBool,
    /// Whether the process has received a signal to stop.
    pub stopping: AtomicBool,
}

impl Readiness {
    /// Returns whether the app can serve pages, without asking the database.
    pub fn is_ready(&self) -> bool {
        self.migrated.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Returns whether the app is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Stops `server` at the first signal, and waits for a second one until the process ends.
pub(super) async fn on_signal(server: ServerHandle, readiness: Data<Readiness>) {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    let linger = first_of(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping");
    readiness.stopping.store(true, Ordering::Relaxed);
    rt::spawn(async move {
        tokio::time::sleep(linger).await;
        server.stop(true).await;
    });
    first_of(&mut terminate, &mut interrupt).await;
    tracing::warn!("stopping immediately");
    // What shells report for a program that Ctrl-C ended.
    std::process::exit(130);
}

/// Waits for a signal, and returns how long to linger.
async fn first_of(terminate: &mut Signal, interrupt: &mut Signal) -> Duration {
    tokio::select! {
        _ = terminate.recv() => LINGER,
        _ = interrupt.recv() => Duration::ZERO,
    }
}
