//! Requests that are too large, too slow or never complete.

use std::{
    io::{BufReader, Read, Write},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use actix_postgres_sessions::server::connections::{Connections, at_work};
use actix_web::{App as WebApp, HttpResponse, HttpServer, middleware::from_fn, rt, web};

use crate::{
    client::{Answer, connect, send},
    stage::App,
};

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// The limits hold before a database is asked, so there is none.
fn app() -> App {
    let nowhere = "postgres://postgres@127.0.0.1:9/postgres";
    App::start(&[("DATABASE_URL", nowhere.to_owned()), ("COOKIE_SECURE", "true".to_owned())])
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}").into_bytes()
}

/// Refused with a page, and the connection, whose rest nobody reads, ended.
fn assert_is_refused(app: &App, status: u16, bytes: &[u8]) -> Answer {
    let answer = send(app.address, bytes).expect("an answer");
    assert_eq!(answer.status, status, "{answer:#?}");
    assert!(answer.ends_connection(), "{answer:#?}");
    answer.assert_is_page();
    answer.assert_asks_for_https();
    app.assert_alive();
    answer
}

#[test]
fn a_long_address_is_a_414_page() {
    let app = app();

    assert_is_refused(&app, 414, &request(&format!("GET /?{}", "a".repeat(9_000)), "", ""));
    // Past what actix-http reads at all there is no request to answer with a page.
    let answer =
        send(app.address, &request(&format!("GET /?{}", "a".repeat(70_000)), "", "")).expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (400, ""), "{answer:#?}");
    assert_eq!(send(app.address, &request("GET /health/live?a=b", "", "")).expect("an answer").status, 200);
}

#[test]
fn large_and_many_headers_are_a_431_page() {
    let app = app();
    let large = |bytes| format!("X-Large: {}\r\n", "a".repeat(bytes));
    let many = |count| (0..count).map(|n| format!("X-Header-{n}: a\r\n")).collect::<String>();

    assert_is_refused(&app, 431, &request("GET /health/live", &large(40_000), ""));
    assert_is_refused(&app, 431, &request("GET /health/live", &many(80), ""));
    // As above: actix-http's own answer.
    for headers in [large(200_000), many(100)] {
        let answer = send(app.address, &request("GET /health/live", &headers, "")).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (431, ""), "{answer:#?}");
    }
    let usual = large(10_000) + &many(40);
    assert_eq!(send(app.address, &request("GET /health/live", &usual, "")).expect("an answer").status, 200);
}

#[test]
fn a_large_body_is_a_413_page() {
    let app = app();
    let announced = request("POST /logout", "Content-Length: 1000000\r\n", "");
    let chunks = format!("2000\r\n{}\r\n", "a".repeat(0x2000)).repeat(4);
    let in_chunks = request("POST /logout", "Transfer-Encoding: chunked\r\n", &chunks);

    let answer = assert_is_refused(&app, 413, &announced);
    assert!(answer.took < Duration::from_secs(1), "nothing of it is waited for: {answer:#?}");
    assert_is_refused(&app, 413, &in_chunks);

    let small = request("POST /logout", "Sec-Fetch-Site: same-origin\r\nContent-Length: 3\r\n", "a=b");
    let answer = send(app.address, &small).expect("an answer");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:#?}");
}

#[test]
fn a_stalled_body_is_a_408_page_within_ten_seconds() {
    let app = app();

    thread::scope(|scope| {
        for (headers, body) in
            [("Content-Length: 10\r\n", "12345"), ("Transfer-Encoding: chunked\r\n", "5\r\n123")]
        {
            let app = &app;
            scope.spawn(move || {
                let answer = assert_is_refused(app, 408, &request("POST /logout", headers, body));
                assert!(answer.took < TEN_SECONDS, "{answer:#?}");
            });
        }
    });
}

#[test]
fn a_slow_head_is_answered_408_within_ten_seconds() {
    let app = app();
    let mut connection = connect(app.address).expect("a connection");
    let begin = Instant::now();

    let mut writer = connection.try_clone().expect("clone");
    thread::spawn(move || {
        let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec();
        // A byte now and then does not buy more time.
        while writer.write_all(&head).is_ok() {
            head = vec![b'a'];
            thread::sleep(Duration::from_millis(500));
        }
    });
    let answer = Answer::read(&mut BufReader::new(&mut connection), begin).expect("an answer");

    assert_eq!(answer.status, 408, "{answer:#?}");
    assert!(answer.took < TEN_SECONDS, "{answer:#?}");
}

/// The rest of what a client may hold us up with, at a pace that a test can wait for.
#[actix_web::test]
async fn a_connection_without_a_request_at_work_is_closed_whatever_trickles_in() {
    let connections = Connections::default();
    let watched = connections.clone();
    let server = HttpServer::new(|| {
        WebApp::new()
            .route("/", web::to(HttpResponse::NoContent))
            .route("/slow", web::to(slow))
            .wrap(from_fn(at_work))
    });
    let server = server
        .on_connect(move |socket, data| watched.watch(socket, data))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
    let address = server.addrs()[0];
    rt::spawn(server.run());
    rt::spawn(connections.close_idle(Duration::from_millis(500)));

    let test = rt::task::spawn_blocking(move || {
        let second_head = begin(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HT");
        let chunks =
            begin(address, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\n1");
        assert_is_closed(second_head);
        assert_is_closed(chunks);
        // But not under a request that takes its time.
        let slow = send(address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").expect("an answer");
        assert_eq!(slow.status, 204, "{slow:#?}");
    });
    test.await.expect("closed");
}

async fn slow() -> HttpResponse {
    rt::time::sleep(Duration::from_secs(3)).await;
    HttpResponse::NoContent().finish()
}

/// A connection on which one request has been answered and something has been begun.
fn begin(address: SocketAddr, request: &str, more: &str) -> std::net::TcpStream {
    let mut connection = connect(address).expect("a connection");
    connection.write_all(request.as_bytes()).expect("it listens");
    let answer = Answer::read(&mut BufReader::new(&mut connection), Instant::now()).expect("an answer");
    assert_eq!(answer.status, 204, "{answer:#?}");
    connection.write_all(more.as_bytes()).expect("it is kept");
    connection
}

fn assert_is_closed(mut connection: std::net::TcpStream) {
    let begin = Instant::now();
    let read = connection.read(&mut [0; 64]);
    assert!(matches!(read, Ok(0)) || read.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
