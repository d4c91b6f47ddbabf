//! Connections that are closed because nothing happens on them.

use tokio::time::{Instant, sleep};

use crate::server::{Client, GET, LIMITS, SECOND, serve};

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
