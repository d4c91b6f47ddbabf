//! Which connections are closed, and what they can't do before that. The limits are one second.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_web::{
    App, HttpResponse,
    rt::{self, net::TcpStream},
    web::{self, Bytes},
};
use futures_util::stream;
use http_server::{HttpServer, Limits, Stopper};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

/// The longest wait in a test, and the length of a slow response.
const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(4);

const LIMITS: Limits = Limits {
    connections: 16,
    // The idle limit is the sum of these two.
    head: SECOND,
    keep_alive: SECOND,
    stall: SECOND,
    grace: SECOND,
};

const IDLE: Duration = Duration::from_secs(2);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn serve() -> (SocketAddr, Stopper) {
    let any = ([127, 0, 0, 1], 0).into();
    let HttpServer { server, address, stopper } = HttpServer::bind(any, 1, LIMITS, || {
        App::new()
            .route("/", web::get().to(async || HttpResponse::Ok().body("done")))
            .route("/count", web::get().to(count))
            .route("/echo", web::post().to(async |body: Bytes| HttpResponse::Ok().body(body)))
            .route("/refuse", web::post().to(refuse))
            .route("/slow", web::get().to(slow))
            .route("/stream", web::get().to(streaming))
            .route("/large", web::get().to(async || HttpResponse::Ok().body(vec![b'a'; 64 * 1024 * 1024])))
    })
    .expect("a free port");
    rt::spawn(server);
    (address, stopper)
}

static COUNTED: AtomicUsize = AtomicUsize::new(0);

async fn count() -> HttpResponse {
    COUNTED.fetch_add(1, Ordering::Relaxed);
    HttpResponse::Ok().body("counted")
}

/// Refuses a request without reading its body.
async fn refuse() -> HttpResponse {
    HttpResponse::PayloadTooLarge().force_close().body("refused")
}

async fn slow() -> HttpResponse {
    sleep(LONG).await;
    HttpResponse::Ok().body("done")
}

async fn streaming() -> HttpResponse {
    let parts = stream::unfold(["begun", "done"].into_iter(), async |mut parts| {
        let part = parts.next()?;
        if part == "done" {
            sleep(LONG).await;
        }
        Some((Ok::<_, io::Error>(Bytes::from_static(part.as_bytes())), parts))
    });
    HttpResponse::Ok().streaming(parts)
}

struct Client(TcpStream);

impl Client {
    async fn connect() -> Self {
        Self::to(serve().0).await
    }

    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("an open connection");
    }

    /// Reads until the received text ends with `end`.
    async fn read_until(&mut self, end: &str) -> String {
        let mut response = Vec::new();
        let read = async {
            while !response.ends_with(end.as_bytes()) {
                if self.0.read_buf(&mut response).await.expect("an open connection") == 0 {
                    break;
                }
            }
        };
        let is_in_time = timeout(PATIENCE, read).await.is_ok();
        let text = String::from_utf8_lossy(&response).into_owned();
        assert!(is_in_time && text.ends_with(end), "{text:?}");
        text
    }

    /// Reads until the server closes the connection.
    async fn read_to_end(&mut self) -> String {
        let mut response = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut response)).await;
        read.expect("the server closes the connection").expect("it doesn't reset the connection");
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Sends `bytes` one by one until the server closes the connection, which must take at least the limit.
    async fn assert_is_closed_while_sending(mut self, bytes: &str) {
        let start = Instant::now();
        let mut bytes = bytes.bytes();
        loop {
            let mut received = [0; 256];
            match timeout(Duration::from_millis(200), self.0.read(&mut received)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(length)) => panic!("{}", String::from_utf8_lossy(&received[..length])),
                Err(_) => assert!(start.elapsed() < PATIENCE, "open after {PATIENCE:?}"),
            }
            if let Some(byte) = bytes.next() {
                // If the server has just closed the connection, the next read notices it.
                let _ = self.0.write_all(&[byte]).await;
            }
        }
        // The limit started a moment before `start`.
        assert!(start.elapsed() > SECOND.mul_f32(0.8), "closed after {:?}", start.elapsed());
    }

    async fn is_closed(&mut self) -> bool {
        matches!(timeout(Duration::from_millis(300), self.0.read(&mut [0])).await, Ok(Ok(0) | Err(_)))
    }
}

#[actix_web::test]
async fn a_first_head_that_never_comes_is_answered_408() {
    let response = Client::connect().await.read_to_end().await;

    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
}

#[actix_web::test]
async fn a_connection_that_is_idle_after_a_response_is_closed_after_the_limit() {
    let mut client = Client::connect().await;
    client.send(GET).await;
    client.read_until("done").await;

    client.assert_is_closed_while_sending("").await;
}

#[actix_web::test]
async fn a_second_head_that_trickles_in_is_closed() {
    let mut client = Client::connect().await;
    client.send(GET).await;
    client.read_until("done").await;

    client.assert_is_closed_while_sending(&format!("GET / HTTP/1.1\r\nX-Long: {}", "a".repeat(100))).await;
}

#[actix_web::test]
async fn a_connection_with_a_body_that_no_handler_reads_is_closed() {
    let mut client = Client::connect().await;
    client.send(&GET.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    client.read_until("done").await;

    client.assert_is_closed_while_sending(&format!("ff\r\n{}", "a".repeat(100))).await;
}

#[actix_web::test]
async fn each_request_restarts_the_limit() {
    let mut client = Client::connect().await;

    for _ in 0..10 {
        client.send(GET).await;
        client.read_until("done").await;
        sleep(SECOND / 4).await;
    }
}

#[actix_web::test]
async fn a_connection_is_not_idle_while_a_handler_runs() {
    let mut client = Client::connect().await;

    client.send(&GET.replace("/ ", "/slow ")).await;

    client.read_until("done").await;
}

#[actix_web::test]
async fn a_connection_is_not_idle_while_a_response_is_streamed() {
    let mut client = Client::connect().await;

    client.send(&GET.replace("/ ", "/stream ")).await;

    client.read_until("done\r\n0\r\n\r\n").await;
}

#[actix_web::test]
async fn when_places_get_short_the_connection_that_has_been_idle_for_longest_is_closed() {
    let (address, _) = serve();
    let mut busy = Client::to(address).await;
    busy.send(&GET.replace("/ ", "/slow ")).await;
    let mut idle = Vec::new();
    let begin = Instant::now();

    for _ in 0..2 * LIMITS.connections {
        let mut client = Client::to(address).await;
        client.send(GET).await;
        client.read_until("done").await;
        idle.push(client);
    }

    assert!(begin.elapsed() < SECOND, "nobody waits until another connection expires: {:?}", begin.elapsed());
    assert!(idle.first_mut().expect("a client").is_closed().await);
    assert!(!idle.last_mut().expect("a client").is_closed().await);
    busy.read_until("done").await;
}

#[actix_web::test]
async fn a_few_pipelined_requests_are_answered_in_order() {
    let mut client = Client::connect().await;
    let post = |body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };

    client.send(&format!("{}{GET}{}{}", post("one"), post("two"), post("three"))).await;

    let responses = client.read_until("three").await;
    let bodies = ["one", "done", "two", "three"].map(|body| responses.find(&format!("\r\n\r\n{body}")));
    assert!(bodies.is_sorted() && bodies[0].is_some(), "{responses}");
}

#[actix_web::test]
async fn a_large_body_arrives_whole() {
    let mut client = Client::connect().await;
    let body = "0123456789".repeat(20_000);
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());

    client.send(&(head + &body)).await;

    client.read_until(&body).await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_its_response_is_disconnected() {
    let mut client = Client::connect().await;
    client.send(&GET.replace("/ ", "/large ")).await;

    sleep(2 * SECOND + IDLE).await;

    let read = timeout(PATIENCE, tokio::io::copy(&mut client.0, &mut tokio::io::sink())).await;
    let length = read.expect("the connection is closed").unwrap_or_default();
    assert!(length < 64 * 1024 * 1024, "{length} bytes");
}

#[actix_web::test]
async fn a_client_that_reads_slowly_gets_its_whole_response() {
    let mut client = Client::connect().await;
    client.send(&GET.replace("/ ", "/large ")).await;

    let mut length = 0;
    let mut buffer = vec![0; 2 * 1024 * 1024];
    let begin = Instant::now();
    while length < 64 * 1024 * 1024 {
        let read = timeout(PATIENCE, client.0.read(&mut buffer)).await.expect("data").expect("data");
        assert_ne!(read, 0, "closed after {length} bytes");
        length += read;
        if begin.elapsed() < LONG {
            sleep(SECOND / 4).await;
        }
    }
    assert!(begin.elapsed() > 3 * SECOND);
}

#[actix_web::test]
async fn a_client_that_pipelines_and_reads_slowly_gets_all_responses() {
    const REQUESTS: usize = 4_000;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    let (mut from, mut to) = socket.connect(serve().0).await.expect("a connection").into_split();
    // The server doesn't read on while it can't write.
    let sending = rt::spawn(async move { to.write_all(GET.repeat(REQUESTS).as_bytes()).await.map(|()| to) });

    let mut received = Vec::new();
    let reading = async {
        let mut part = [0; 2048];
        // Until the server closes the idle connection.
        while let Ok(read @ 1..) = from.read(&mut part).await {
            received.extend_from_slice(&part[..read]);
            if received.len() % 16 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("an end");
    drop(sending);

    assert_eq!(received.windows(8).filter(|part| *part == b"HTTP/1.1").count(), REQUESTS);
}

/// Each of these bodies ends with a complete request that must not be processed.
#[actix_web::test]
async fn nothing_is_processed_after_a_response_that_closes_its_connection() {
    let next = GET.replace("/ ", "/count ");
    let chunk = format!("400\r\n{}\r\n", "a".repeat(0x400));
    for body in [
        format!("Content-Length: 3\r\n\r\nabc{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n{next}", chunk.repeat(40)),
    ] {
        let before = COUNTED.load(Ordering::Relaxed);
        let mut client = Client::connect().await;

        client.send(&format!("POST /refuse HTTP/1.1\r\nHost: a\r\n{body}")).await;

        let response = client.read_to_end().await;
        assert!(response.starts_with("HTTP/1.1 413") && response.ends_with("refused"), "{response}");
        assert_eq!(COUNTED.load(Ordering::Relaxed), before, "{response}");
    }
}

#[actix_web::test]
async fn nothing_is_processed_after_the_clients_last_request() {
    let before = COUNTED.load(Ordering::Relaxed);
    let mut client = Client::connect().await;

    let last = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    client.send(&format!("{last}{}", GET.replace("/ ", "/count "))).await;

    let response = client.read_to_end().await;
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    assert_eq!(COUNTED.load(Ordering::Relaxed), before, "{response}");
}

#[actix_web::test]
async fn a_body_that_never_ends_is_cut_off_after_the_response() {
    let mut client = Client::connect().await;
    client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));

    let begin = Instant::now();
    let mut sent = 0;
    while client.0.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(begin.elapsed() < PATIENCE, "{sent} bytes");
    }

    // What the server reads at most, and what fits into the kernel's buffers.
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes");
}

#[actix_web::test]
async fn connect_and_upgrades_are_answered_at_once() {
    for (request, status) in [
        ("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 404),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    ] {
        let mut client = Client::connect().await;
        let begin = Instant::now();

        client.send(request).await;

        let response = client.read_to_end().await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
        assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
    }
}

#[actix_web::test]
async fn while_the_server_stops_responses_close_their_connections() {
    let (address, stopper) = serve();
    let mut client = Client::to(address).await;
    rt::spawn(async move { stopper.stop(SECOND).await });
    sleep(SECOND / 4).await;

    client.send(GET).await;

    let response = client.read_to_end().await;
    assert!(response.ends_with("done") && response.contains("connection: close"), "{response}");
}
