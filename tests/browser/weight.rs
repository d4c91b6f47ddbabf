use std::time::{Duration, Instant};

use browser::Browser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::open;

/// The files that a page links to.
const LINKED: &str = "return [...document.querySelectorAll('link, script, img')].map(it => {
    const url = new URL(it.href || it.src);
    return url.pathname + url.search;
})";

/// The files that the page used, and how many bytes of each came from the server rather than the browser's
/// cache.
const USED: &str = "return performance.getEntriesByType('resource')
    .map(entry => [new URL(entry.name).pathname, entry.transferSize])";

#[actix_web::test]
async fn a_first_visit_transfers_less_than_10_kb_including_headers() {
    let (app, browser) = open().await;
    browser.go("/").await;

    let mut paths: Vec<String> = browser.run(LINKED).await;
    paths.push("/".to_owned());

    let mut weights = Vec::new();
    for path in &paths {
        weights.push((weight(&app.url, path).await, path));
    }
    let total: usize = weights.iter().map(|(bytes, _)| bytes).sum();
    assert!(weights.len() == 3 && (3000..10_000).contains(&total), "{total}: {weights:?}");
}

#[actix_web::test]
async fn a_second_visit_fetches_only_the_page() {
    let (_app, browser) = open().await;

    browser.go("/").await;
    let first = bytes_of_css(&browser).await;
    browser.go("/").await;
    let second = bytes_of_css(&browser).await;

    assert!(first > 0);
    assert_eq!(second, 0);
    let used: Vec<(String, u64)> = browser.run(USED).await;
    assert!(used.iter().all(|&(_, bytes)| bytes == 0), "{used:?}");
}

/// Returns how many bytes of the style sheet came from the server. Chromium may list a file only after the
/// page is loaded.
async fn bytes_of_css(browser: &Browser) -> u64 {
    let begin = Instant::now();
    loop {
        let used: Vec<(String, u64)> = browser.run(USED).await;
        if let Some((_, bytes)) = used.iter().find(|(path, _)| path == "/static/app.css") {
            return *bytes;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{used:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the size of a response in bytes, including the headers.
async fn weight(url: &str, path: &str) -> usize {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
    answer.len()
}
