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

/// The files that were fetched from the server and not from the browser's cache.
const FETCHED: &str = "return performance.getEntriesByType('resource')
    .filter(entry => entry.transferSize > 0)
    .map(entry => new URL(entry.name).pathname)";

#[actix_web::test]
async fn a_first_visit_weighs_less_than_10_kb_with_all_headers() {
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
    let first: Vec<String> = browser.run(FETCHED).await;
    browser.go("/").await;
    let second: Vec<String> = browser.run(FETCHED).await;

    assert!(first.contains(&"/static/app.css".to_owned()), "{first:?}");
    assert_eq!(second, Vec::<String>::new());
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
