//! Large and slow responses, and what follows the last one.

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::rt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::{Instant, sleep, timeout},
};

use crate::server::{COUNTED, Client, GET, IDLE, LONG, PATIENCE, SECOND, serve};

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
