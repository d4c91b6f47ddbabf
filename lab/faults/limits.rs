//! Tests requests that are too large, too slow, malformed or incomplete.

use std::io::{BufReader, Write};
use std::time::{Duration, Instant};
use std::{fs, thread};

use app::limits::{BASE_BYTES, BODY_TIME, CONNECTION_BYTES};

use crate::client::{Answer, connect, send};
use crate::program::{App, NO_DATABASE};

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// There is no page at this path, so only the limits are tested.
const POST: &str = "POST /no-such-page";

/// Starts the program without a database, because the limits don't need one.
fn app() -> App {
    App::start(&[("DATABASE_URL", NO_DATABASE.to_owned()), ("COOKIE_SECURE", "true".to_owned())])
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn answer(app: &App, bytes: &[u8]) -> Answer {
    send(app.address, bytes).expect("a response")
}

/// Checks that the request returns an error page, and that the app closes the connection instead of reading the rest.
fn assert_is_refused(app: &App, status: u16, bytes: &[u8]) -> Answer {
    let answer = answer(app, bytes);
    assert_eq!(answer.status, status, "{answer:#?}");
    assert!(answer.closes_connection(), "{answer:#?}");
    answer.assert_is_error_page();
    answer.assert_asks_for_https();
    app.assert_alive();
    answer
}

#[test]
fn a_long_url_returns_a_414_page() {
    let app = app();

    assert_is_refused(&app, 414, &request(&format!("GET /?{}", "a".repeat(9_000)), "", ""));
    let usual = answer(&app, &request(&format!("GET /health/live?{}", "a".repeat(8_000)), "", ""));
    assert_eq!(usual.status, 200, "{usual:#?}");
}

#[test]
fn headers_that_are_too_large_or_too_many_return_a_431_page() {
    let app = app();
    let large = |bytes| format!("X-Large: {}\r\n", "a".repeat(bytes));
    let many = |count| (0..count).map(|n| format!("X-Header-{n}: a\r\n")).collect::<String>();

    assert_is_refused(&app, 431, &request("GET /health/live", &large(40_000), ""));
    assert_is_refused(&app, 431, &request("GET /health/live", &many(80), ""));
    let usual = answer(&app, &request("GET /health/live", &(large(10_000) + &many(40)), ""));
    assert_eq!(usual.status, 200, "{usual:#?}");
}

#[test]
fn a_head_larger_than_actix_http_reads_returns_an_error_without_a_page() {
    let app = app();
    let large = format!("X-Large: {}\r\n", "a".repeat(200_000));
    let many = (0..100).map(|n| format!("X-Header-{n}: a\r\n")).collect::<String>();

    for (status, bytes) in [
        (400, request(&format!("GET /?{}", "a".repeat(70_000)), "", "")),
        (431, request("GET /health/live", &large, "")),
        (431, request("GET /health/live", &many, "")),
    ] {
        let answer = answer(&app, &bytes);
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{answer:#?}");
    }
    app.assert_alive();
}

#[test]
fn a_large_body_returns_a_413_page() {
    let app = app();
    let announced = request(POST, "Content-Length: 1000000\r\n", "");
    let chunks = format!("2000\r\n{}\r\n", "a".repeat(0x2000)).repeat(4);
    let in_chunks = request(POST, "Transfer-Encoding: chunked\r\n", &chunks);

    let refused = assert_is_refused(&app, 413, &announced);
    assert!(refused.took < BODY_TIME, "the app doesn't wait for the body: {refused:#?}");
    assert_is_refused(&app, 413, &in_chunks);

    // The app reads a small body. No page is at this path, so it returns 404.
    let small = answer(&app, &request(POST, "Content-Length: 3\r\n", "a=b"));
    assert_eq!((small.status, small.closes_connection()), (404, false), "{small:#?}");
}

#[test]
fn a_stalled_body_returns_a_408_page_within_ten_seconds() {
    let app = app();

    thread::scope(|scope| {
        for (headers, body) in
            [("Content-Length: 10\r\n", "12345"), ("Transfer-Encoding: chunked\r\n", "5\r\n123")]
        {
            let app = &app;
            scope.spawn(move || {
                let answer = assert_is_refused(app, 408, &request(POST, headers, body));
                assert!(answer.took < TEN_SECONDS, "{answer:#?}");
            });
        }
    });
}

#[test]
fn a_slow_head_returns_a_408_within_ten_seconds() {
    let app = app();
    let mut connection = connect(app.address).expect("a connection");
    let begin = Instant::now();

    let mut writer = connection.try_clone().expect("clone");
    thread::spawn(move || {
        let _ = writer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        // Sending a byte now and then doesn't extend the limit.
        for _ in 0..40 {
            thread::sleep(Duration::from_millis(500));
            if writer.write_all(b"a").is_err() {
                break;
            }
        }
    });
    let answer = Answer::read(&mut BufReader::new(&mut connection), begin).expect("a response");

    assert_eq!(answer.status, 408, "{answer:#?}");
    assert!(answer.took < TEN_SECONDS, "{answer:#?}");
}

#[test]
fn a_malformed_or_contradictory_host_returns_a_400_page() {
    let app = app();
    for head in [
        "GET / HTTP/1.1\r\nHost:\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n",
        "GET / HTTP/1.1\r\nHost: a:port\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n",
        "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n",
    ] {
        let answer = answer(&app, format!("{head}\r\n").as_bytes());
        assert_eq!(answer.status, 400, "{head:?}: {answer:#?}");
        answer.assert_is_error_page();
    }

    // actix-http's own response has no page.
    for head in ["GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n"] {
        let answer = answer(&app, format!("{head}\r\n").as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (400, ""), "{head:?}: {answer:#?}");
    }
    for head in [
        "GET /health/live HTTP/1.0\r\n",
        "GET /health/live HTTP/1.1\r\nHost: [::1]:8080\r\n",
        "GET http://EXAMPLE.com/health/live HTTP/1.1\r\nHost: example.com\r\n",
    ] {
        let answer = answer(&app, format!("{head}\r\n").as_bytes());
        assert_eq!(answer.status, 200, "{head:?}: {answer:#?}");
    }
}

/// Each connection sends the largest head that actix-http reads, but not its end.
#[test]
fn a_connection_uses_no_more_memory_than_the_limits_allow() {
    const CONNECTIONS: u64 = 400;
    let app = app();
    app.get("/");
    let before = memory(&app);
    assert!(before * 1024 < BASE_BYTES as u64, "{before} KiB without connections");

    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}", "a".repeat(128 * 1024 - 200));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = connect(app.address).expect("a connection");
            client.write_all(head.as_bytes()).expect("sent");
            client
        })
        .collect();
    assert_eq!(app.get("/health/live").status, 200);
    let each = (memory(&app) - before) * 1024 / CONNECTIONS;

    assert!(each > 64 * 1024, "the heads arrived: {each} bytes per connection");
    assert!(each < CONNECTION_BYTES as u64, "{each} bytes per connection");
    drop(clients);
}

/// Each client sends half a megabyte of requests and reads nothing.
#[test]
fn clients_that_pipeline_and_never_read_use_no_more_memory_than_the_limits_allow() {
    const CONNECTIONS: u64 = 200;
    let app = app();
    app.get("/");
    let before = memory(&app);
    let requests = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n".repeat(13_000);

    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(app.address).expect("a connection")).collect();
    for client in &mut clients {
        client.set_nonblocking(true).expect("a socket");
    }
    let mut sent = vec![0; clients.len()];
    for _ in 0..50 {
        for (client, sent) in clients.iter_mut().zip(&mut sent) {
            *sent += client.write(&requests.as_bytes()[*sent..]).unwrap_or(0);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let each = (memory(&app) - before) * 1024 / CONNECTIONS;

    assert!(each < CONNECTION_BYTES as u64, "{each} bytes per connection");
}

/// Returns the resident memory of the program in KiB.
fn memory(app: &App) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.pid)).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
