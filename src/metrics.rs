//! The metrics that the app reports to Prometheus.

use std::{net::SocketAddr, time::Duration, time::Instant};

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::web::{self, Data};
use actix_web::{App, Error, HttpServer, body::MessageBody, middleware::Next, rt};
use metrics::{counter, describe_counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use sqlx::PgPool;

use crate::{log, readiness::Readiness};

/// Counters that start at 0, so that Prometheus sees the first event as an increase.
const COUNTERS: &[(&str, &str)] = &[
    ("sessions_started_total", "Sessions that were started"),
    ("sessions_ended_total", "Sessions that were ended before they expired, except by another login"),
    ("sessions_refused_total", "Sessions that were not started because the client had started too many"), // demo
    ("sessions_swept_total", "Expired sessions that were deleted"),
    ("visitors_swept_total", "Visitors that were deleted because their sessions had expired"), // demo
    ("session_store_errors_total", "Sessions that could not be loaded, saved or deleted"),
    ("log_lines_lost_total", "Log lines that were lost because too many were waiting"),
];

/// Records metrics, and serves them on `address`. The exporter's own listener doesn't limit connections.
pub fn serve(address: SocketAddr, pool: Data<PgPool>, readiness: Data<Readiness>) -> anyhow::Result<()> {
    let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
    let handle = PrometheusBuilder::new()
        .set_buckets(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0])?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .install_recorder()?;
    let metrics = handle.clone();
    let page = move || {
        let metrics = metrics.clone();
        App::new().route("/metrics", web::get().to(move || std::future::ready(metrics.render())))
    };
    rt::spawn(HttpServer::new(page).workers(1).max_connections(64).disable_signals().bind(address)?.run());
    for &(name, description) in COUNTERS {
        describe_counter!(name, description);
        counter!(name).increment(0);
    }
    rt::spawn(async move {
        loop {
            // Merges recorded durations. Otherwise, they would use more and more memory.
            handle.run_upkeep();
            let (all, idle) = (f64::from(pool.size()), pool.num_idle() as f64);
            gauge!("database_pool_connections", "state" => "idle").set(idle);
            gauge!("database_pool_connections", "state" => "busy").set((all - idle).max(0.0));
            gauge!("ready").set(if readiness.check().await { 1.0 } else { 0.0 });
            counter!("log_lines_lost_total").absolute(log::lost_lines());
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    Ok(())
}

/// Counts and times requests in one histogram. The route is a pattern or `none`, so made-up paths add no time series.
pub async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begin = Instant::now();
    let outcome = next.call(request).await;
    let (route, status) = match &outcome {
        Ok(response) => (response.request().match_pattern(), response.status()),
        Err(error) => (None, error.as_response_error().status_code()),
    };
    let (route, status) = (route.unwrap_or_else(|| "none".into()), status.as_str().to_owned());
    histogram!("http_request_duration_seconds", "route" => route, "status" => status).record(begin.elapsed());
    outcome
}
