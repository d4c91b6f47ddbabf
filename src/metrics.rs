//! What the app reports to Prometheus, besides its requests and batches. [`metrics_server`] serves it.

use std::{io, net::SocketAddr};

use metrics::gauge;

use crate::{Dependencies, pages::health};

const COUNTERS: [(&str, &str); 7] = [
    ("sessions_started_total", "Sessions that were started"),
    ("sessions_ended_total", "Sessions that were ended by a logout"),
    ("sessions_refused_total", "Sessions that were not started, because the client had started too many"),
    ("sessions_swept_total", "Expired sessions that were deleted"),
    ("visitors_swept_total", "Visitors that were deleted, because their sessions have expired"),
    ("session_store_errors_total", "Sessions that could not be loaded, saved or deleted"),
    ("log_lines_lost_total", "Lines of the log that could not be written in time"),
];

/// Serves the metrics on `address`. Returns the address with the port that was chosen.
pub fn serve(address: SocketAddr, dependencies: &Dependencies) -> io::Result<SocketAddr> {
    let (pool, readiness) = (dependencies.pool.clone(), dependencies.readiness.clone());
    metrics_server::serve(address, &COUNTERS, async move || {
        let (all, idle) = (f64::from(pool.size()), pool.num_idle() as f64);
        gauge!("database_pool_connections", "state" => "idle").set(idle);
        gauge!("database_pool_connections", "state" => "busy").set((all - idle).max(0.0));
        gauge!("ready").set(if health::can_serve(&readiness, &pool).await { 1.0 } else { 0.0 });
    })
}
