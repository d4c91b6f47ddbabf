#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt, web,
};
use metrics::{counter, describe_counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::time::sleep;

/// Upper bounds of histograms whose names end with `_seconds`.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Upper bounds of all other histograms.
const NUMBERS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 4096.0];

/// Starts to record metrics, and serves them at `/metrics` until the process ends. Returns the address, with the port that
/// the system chose if it was 0.
///
/// The counters have a name and a description. They start at 0, so that the first event is an increase. `sample` runs
/// before each answer.
///
/// # Errors
/// Returns an error if the address can't be used, or if the process already has a recorder.
pub fn serve(
    address: SocketAddr,
    counters: &[(&'static str, &'static str)],
    sample: impl AsyncFn() + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let builder = PrometheusBuilder::new().set_buckets(&NUMBERS);
    let builder =
        builder.and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS));
    let handle = builder.and_then(PrometheusBuilder::install_recorder).map_err(io::Error::other)?;
    for (name, description) in counters {
        describe_counter!(*name, *description);
        counter!(*name).increment(0);
    }
    let recorded = handle.clone();
    let server = HttpServer::new(move || {
        let (recorded, sample) = (recorded.clone(), sample.clone());
        let get = move || {
            let (recorded, sample) = (recorded.clone(), sample.clone());
            async move {
                sample().await;
                recorded.render()
            }
        };
        App::new().route("/metrics", web::get().to(get))
    });
    let server = server.workers(1).disable_signals().bind(address)?;
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

/// A middleware function that counts requests and measures how long they take. One histogram does both, because a second
/// metric would double the cost.
///
/// # Errors
/// Returns the errors of `next`.
pub async fn measure(
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
