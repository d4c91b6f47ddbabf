//! Which connections are closed. The limit is one second, and the server's own limits are a minute.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    rt::{self, net::TcpStream},
    web::{self, Bytes},
};
use futures_util::stream;
use idle_connections::{Busy, Connections};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const LIMIT: Duration = Duration::from_secs(1);

/// Longer than the limit and the time between two checks.
const LONG: Duration = Duration::from_secs(3);

/// The server's limits, and the longest wait in a test. If a connection isn't closed by then, the test fails.
const MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn serve() -> SocketAddr {
    let connections = Connections::default();
    rt::spawn(connections.clone().close_idle(LIMIT));
    let server = HttpServer::new(|| {
        App::new()
            .route("/", web::to(async || HttpResponse::Ok().body("done")))
            .route("/slow", web::to(slow))
            .route("/stream", web::to(streaming))
            .wrap(from_fn(busy))
    });
    let server = server
        .on_connect(move |socket, data| connections.watch(socket, data))
        .keep_alive(MINUTE)
        .client_request_timeout(MINUTE)
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
    let address = server.addrs()[0];
    rt::spawn(server.run());
    address
}

async fn busy(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let busy = Busy::new(request.request());
    let response = next.call(request).await?.map_into_boxed_body();
    Ok(response.map_body(|_, body| busy.until_sent(body)))
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
        Self(TcpStream::connect(serve().await).await.expect("a connection"))
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("an open connection");
    }

    /// Reads a response that ends with `end`.
    async fn read_until(&mut self, end: &str) {
        let mut response = Vec::new();
        let read = async {
            while !response.ends_with(end.as_bytes()) {
                if self.0.read_buf(&mut response).await.expect("an open connection") == 0 {
                    break;
                }
            }
        };
        let is_in_time = timeout(PATIENCE, read).await.is_ok();
        let text = String::from_utf8_lossy(&response);
        assert!(is_in_time && text.ends_with(end), "{text:?}");
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
        assert!(start.elapsed() > LIMIT.mul_f32(0.8), "closed after {:?}", start.elapsed());
    }
}

#[actix_web::test]
async fn a_connection_without_a_request_is_closed_after_the_limit() {
    Client::connect().await.assert_is_closed_while_sending("").await;
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
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.read_until("done").await;

    client.assert_is_closed_while_sending(&format!("ff\r\n{}", "a".repeat(100))).await;
}

#[actix_web::test]
async fn each_request_restarts_the_limit() {
    let mut client = Client::connect().await;

    for _ in 0..6 {
        client.send(GET).await;
        client.read_until("done").await;
        sleep(LIMIT / 2).await;
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
