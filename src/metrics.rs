//! Metrics for Prometheus, on an address of their own: `GET /metrics`. No label has a value that a client can choose.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
    web::{self, Data},
};
use metrics::{counter, describe_counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::{Dependencies, pages::health, server::Readiness};

/// Upper bounds of the histograms of times, in seconds.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Upper bounds of the histograms of batches and queues.
const CALLS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0];

/// The counters that have no labels. They start at 0, so that the first event is an increase.
const COUNTERS: [(&str, &str); 7] = [
    ("sessions_started_total", "Sessions that were started"),
    ("sessions_ended_total", "Sessions that were ended by a logout"),
    ("sessions_refused_total", "Sessions that were not started, because the client had started too many"),
    ("sessions_swept_total", "Expired sessions that were deleted"),
    ("visitors_swept_total", "Visitors that were deleted, because their sessions have expired"),
    ("session_store_errors_total", "Sessions that could not be loaded, saved or deleted"),
    ("log_lines_lost_total", "Lines of the log that could not be written in time"),
];

/// Starts to record metrics, and serves them on `address` until the process ends. Returns the address, with the port that
/// the system chose if it was 0.
///
/// # Errors
/// Returns an error if the address can't be used.
pub fn serve(address: SocketAddr, dependencies: &Dependencies) -> io::Result<SocketAddr> {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
    let builder = builder
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Prefix("batcher_".into()), &CALLS));
    let handle = builder.and_then(PrometheusBuilder::install_recorder).map_err(io::Error::other)?;
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
    let (recorded, pool, readiness) =
        (handle.clone(), dependencies.pool.clone(), dependencies.readiness.clone());
    let app = move || {
        let app = App::new().app_data(pool.clone()).app_data(readiness.clone());
        app.app_data(Data::new(recorded.clone())).route("/metrics", web::get().to(get))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind(address)?;
    let address = server.addrs()[0];
    rt::spawn(server.run());
    // Keeps the memory small even if nobody reads the metrics.
    rt::spawn(async move {
        loop {
            sleep(Duration::from_secs(5)).await;
            handle.run_upkeep();
        }
    });
    Ok(address)
}

/// Returns all metrics. Asks the database, as `/health/ready` does.
async fn get(handle: Data<PrometheusHandle>, pool: Data<PgPool>, readiness: Data<Readiness>) -> String {
    let (all, idle) = (f64::from(pool.size()), pool.num_idle() as f64);
    gauge!("database_pool_connections", "state" => "idle").set(idle);
    gauge!("database_pool_connections", "state" => "busy").set((all - idle).max(0.0));
    gauge!("ready").set(if health::can_serve(&readiness, &pool).await { 1.0 } else { 0.0 });
    handle.render()
}

/// Counts requests and measures how long they take. The route is a pattern of the route table. One histogram does both,
/// because a second metric would double the cost.
pub async fn measure_request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begin = Instant::now();
    let response = next.call(request).await?;
    let route = response.request().match_pattern().unwrap_or_else(|| "none".into());
    let status = response.status().as_str().to_owned();
    histogram!("http_request_duration_seconds", "route" => route, "status" => status).record(begin.elapsed());
    Ok(response)
}
