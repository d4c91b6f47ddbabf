//! Tests what the app reports: metrics about itself, and the trace IDs of its callers.

use std::net::{SocketAddr, TcpListener};
use std::{collections::BTreeMap, fs, time::Duration};

use crate::program::{App, eventually};
use crate::{client, stage::Stage};

const FIVE_SECONDS: Duration = Duration::from_secs(5);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn app_with_metrics(stage: &Stage) -> App {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    stage.app_with(&[("METRICS_ADDRESS", &address), ("WORKERS", "1"), ("NEW_SESSIONS_PER_MINUTE", "2")])
}

/// Waits until the `ready` gauge has this value.
fn eventually_ready(app: &App, ready: f64) {
    eventually("a sample", 3 * FIVE_SECONDS, || (metrics(app)["ready"] == ready).then_some(()));
}

/// Returns the metrics address from the log.
fn metrics_address(app: &App) -> SocketAddr {
    let log = app.log();
    let (_, address) = log.split_once("metrics are at http://").expect("the address in the log");
    let (address, _) = address.split_once('/').expect("a path");
    address.parse().expect("an address")
}

/// Returns all series with their values.
fn metrics(app: &App) -> BTreeMap<String, f64> {
    let answer = client::get(metrics_address(app), "/metrics");
    assert_eq!(answer.status, 200, "{answer:#?}");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn metrics_count_requests_sessions_and_batches_exactly() {
    let stage = Stage::new();
    let app = app_with_metrics(&stage);
    let mut visitor = app.visitor();
    for _ in 0..3 {
        visitor.get("/");
    }
    visitor.get("/logout");
    for path in ["/nothing", "/nothing/else", "/"] {
        app.get(path);
    }
    assert_eq!(app.get("/").status, 429);
    eventually_ready(&app, 1.0);

    let metrics = metrics(&app);

    for (series, value) in [
        (r#"http_request_duration_seconds_count{route="/",status="200"}"#, 4.0),
        (r#"http_request_duration_seconds_count{route="/",status="429"}"#, 1.0),
        (r#"http_request_duration_seconds_count{route="/logout",status="303"}"#, 1.0),
        (r#"http_request_duration_seconds_count{route="none",status="404"}"#, 2.0),
        (r#"http_request_duration_seconds_bucket{route="/",status="200",le="+Inf"}"#, 4.0),
        (r#"batcher_batch_size_count{statement="CountVisits"}"#, 2.0),
        (r#"batcher_batch_size_sum{statement="CountVisits"}"#, 2.0),
        (r#"batcher_queue_length_count{statement="Load"}"#, 3.0),
        (r#"batcher_wait_seconds_count{statement="Save"}"#, 2.0),
        ("sessions_started_total", 2.0),
        ("sessions_ended_total", 1.0),
        ("sessions_refused_total", 1.0),
        ("ready", 1.0),
    ] {
        assert_eq!(metrics.get(series), Some(&value), "{series} in {metrics:#?}");
    }
    let pool =
        ["idle", "busy"].map(|state| metrics[&format!(r#"database_pool_connections{{state="{state}"}}"#)]);
    assert!((1.0..=10.0).contains(&pool.iter().sum()), "{metrics:#?}");
}

#[test]
fn the_metrics_show_an_outage() {
    let mut stage = Stage::new();
    let app = app_with_metrics(&stage);
    stage.postgres.stop();

    app.get("/").assert_is_503_page();

    let failed = |series: &&String| {
        series.starts_with("http_request_duration_seconds_count") && series.contains("503")
    };
    assert!(metrics(&app).keys().any(|series| failed(&series)), "a failed request is counted");
    eventually_ready(&app, 0.0);
    let during = metrics(&app);
    assert_eq!(during["session_store_errors_total"], 1.0, "{during:#?}");
    stage.postgres.restart().expect("start");
    eventually_ready(&app, 1.0);
}

#[test]
fn clients_cannot_add_metric_series() {
    let stage = Stage::new();
    let app = app_with_metrics(&stage);
    let ask = |number: usize| {
        for (method, path) in [("GET", "x"), ("PURGE", "x"), ("PUT", ""), ("GET", "static/app.css?v=")] {
            let [method, path] = [method, path].map(|text| format!("{text}{number}"));
            let request =
                format!("{method} /{path} HTTP/1.1\r\nHost: host{number}\r\nUser-Agent: {number}\r\n\r\n");
            client::send(app.address, request.as_bytes()).expect("an answer");
            let request = request.replacen(&method, "GET", 1);
            client::send(app.address, request.as_bytes()).expect("an answer");
        }
    };
    ask(0);
    metrics(&app);
    let before = metrics(&app).len();

    (1..200).for_each(ask);

    let after = metrics(&app);
    assert_eq!(after.len(), before, "{after:#?}");
}

#[test]
fn idle_metrics_connections_use_at_most_64_files_and_the_app_still_serves() {
    let stage = Stage::new();
    let app = app_with_metrics(&stage);
    let open_files = || fs::read_dir(format!("/proc/{}/fd", app.pid)).expect("Linux").count();

    let idle: Vec<_> =
        (0..256).map(|_| client::connect(metrics_address(&app)).expect("the backlog")).collect();
    eventually("64 are accepted", FIVE_SECONDS, || (open_files() > 64).then_some(()));

    assert_eq!(app.get("/").status, 200);
    // If there were no limit, more than 256 would be open. The app itself has about 20.
    assert!(open_files() < 128, "{} files", open_files());
    drop(idle);
    eventually_ready(&app, 1.0);
}

#[test]
fn no_metrics_are_served_without_a_metrics_address() {
    let stage = Stage::new();
    let app = stage.app();

    assert_eq!(app.get("/metrics").status, 404);
    assert!(!app.log().contains("metrics are at"), "{}", app.log());
}

#[test]
fn the_program_exits_with_one_message_if_the_metrics_address_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let stage = Stage::new();

    let mut app = App::spawn(&[("DATABASE_URL", stage.url()), ("METRICS_ADDRESS", address.clone())]);

    assert_eq!(app.ends_within(FIVE_SECONDS).code(), Some(1));
    let log = app.log();
    assert!(log.contains(&format!("METRICS_ADDRESS: can't listen on {address}")), "{log}");
}

#[test]
fn only_a_trusted_proxy_can_set_the_trace_id_in_the_log() {
    let stage = Stage::new();
    for (trusted, expected) in [("127.0.0.1", 1), ("", 0)] {
        let app = stage.app_with(&[("TRUSTED_PROXIES", trusted)]);
        let header = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");

        app.visitor().try_get_with("/nothing", &header).expect("an answer");
        app.visitor().try_get_with("/nothing", &header.replace('4', "g")).expect("an answer");

        eventually("both are logged", FIVE_SECONDS, || {
            (app.log().matches(r#""path":"/nothing""#).count() == 2).then_some(())
        });
        let with_trace = app.log().matches(&format!(r#""trace_id":"{TRACE}""#)).count();
        assert_eq!(with_trace, expected, "trusted: {trusted:?}\n{}", app.log());
    }
}
