//! A server whose limits are one second, and a client.

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
    time::{Instant, sleep, timeout},
};

pub const SECOND: Duration = Duration::from_secs(1);

/// The longest wait in a test, and the length of a slow response.
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const LONG: Duration = Duration::from_secs(4);

pub const LIMITS: Limits = Limits {
    connections: 16,
    // The idle limit is the sum of these two.
    head: SECOND,
    keep_alive: SECOND,
    stall: SECOND,
    grace: SECOND,
};

pub const IDLE: Duration = Duration::from_secs(2);

pub const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

pub fn serve() -> (SocketAddr, Stopper) {
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

pub static COUNTED: AtomicUsize = AtomicUsize::new(0);

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

pub struct Client(pub TcpStream);

impl Client {
    pub async fn connect() -> Self {
        Self::to(serve().0).await
    }

    pub async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("an open connection");
    }

    /// Reads until the received text ends with `end`.
    pub async fn read_until(&mut self, end: &str) -> String {
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
    pub async fn read_to_end(&mut self) -> String {
        let mut response = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut response)).await;
        read.expect("the server closes the connection").expect("it doesn't reset the connection");
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Sends `bytes` one by one until the server closes the connection, which must take at least the limit.
    pub async fn assert_is_closed_while_sending(mut self, bytes: &str) {
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

    pub async fn is_closed(&mut self) -> bool {
        matches!(timeout(Duration::from_millis(300), self.0.read(&mut [0])).await, Ok(Ok(0) | Err(_)))
    }
}
