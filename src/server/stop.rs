//! How the application stops, and how it tells.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::{dev::ServerHandle, web::Data};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Between SIGTERM and the closing of the listener: time for a load balancer to see that `/health/ready` fails, and for
/// the clients to leave their connections ([`crate::middleware::stopping`]).
const LINGER: Duration = Duration::from_secs(2);

/// For the requests still under way when the listener is closed: with the above, longer than any takes, because of
/// [`crate::middleware::deadline`] and [`crate::middleware::request_limits`]. actix-web counts in whole seconds.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Whether the application can serve pages: false before the schema is up to date and from the moment it is told to stop.
#[derive(Debug, Default)]
pub struct Readiness {
    migrated: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Whether pages can be served, as far as this process knows.
    pub fn is_ready(&self) -> bool {
        self.migrated.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Whether the process has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Says that the schema is up to date.
    pub fn set_migrated(&self) {
        self.migrated.store(true, Ordering::Relaxed);
    }

    /// Says that the process has been told to stop.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Waits for the first signal, and stops `server`; listens on for a second one until the process has ended.
pub(super) fn on_signal(
    server: ServerHandle,
    readiness: Data<Readiness>,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let lingers = first_of(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping");
        readiness.set_stopping();
        let stop = async {
            if lingers {
                tokio::time::sleep(LINGER).await;
            }
            server.stop(true).await;
            // What else there is to close may take a moment, too.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop => {}
            _ = first_of(&mut terminate, &mut interrupt) => {
                tracing::warn!("stopping at once");
                std::process::exit(INTERRUPTED);
            }
        }
    })
}

/// Whether the signal was SIGTERM.
async fn first_of(terminate: &mut Signal, interrupt: &mut Signal) -> bool {
    tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => false,
    }
}
