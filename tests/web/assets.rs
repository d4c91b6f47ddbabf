use reqwest::Method;

use crate::support::{Page, TestApp};

#[actix_web::test]
async fn pages_name_files_by_their_hash_and_a_browser_may_keep_them() {
    let app = TestApp::spawn().await;
    let page = Page::of(app.request(Method::GET, "/visits")).await;
    let (_, rest) = page.body.split_once(r#"<link rel="stylesheet" href=""#).expect("a stylesheet");
    let (address, _) = rest.split_once('"').expect("an address");

    let css = Page::of(app.request(Method::GET, address)).await;

    assert!(address.starts_with("/static/app.css?v="), "{address}");
    assert_eq!((css.status.as_u16(), css.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(css.header("cache-control"), "public, max-age=31536000, immutable");
}

#[actix_web::test]
async fn without_the_hash_a_file_is_revalidated_by_its_etag() {
    let app = TestApp::spawn().await;

    let first = Page::of(app.request(Method::GET, "/static/app.css")).await;
    let etag = first.header("etag");
    let again = Page::of(app.request(Method::GET, "/static/app.css").header("if-none-match", etag)).await;
    let old = Page::of(app.request(Method::GET, "/static/app.css?v=0123456789abcdef")).await;

    assert_eq!(first.header("cache-control"), "public, no-cache");
    assert_eq!((again.status.as_u16(), again.body.as_str(), again.header("etag")), (304, "", etag));
    assert_eq!(
        old.header("cache-control"),
        "public, no-cache",
        "a hash of another version is not kept for a year"
    );
}

#[actix_web::test]
async fn a_file_is_compressed_where_the_browser_takes_that() {
    let app = TestApp::spawn().await;

    let plain = Page::of(app.request(Method::GET, "/static/app.css")).await;
    let gzip =
        Page::of(app.request(Method::GET, "/static/app.css").header("accept-encoding", "br, gzip")).await;
    let refused =
        Page::of(app.request(Method::GET, "/static/app.css").header("accept-encoding", "gzip;q=0")).await;

    assert_eq!((plain.header("content-encoding"), refused.header("content-encoding")), ("", ""));
    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "accept-encoding"));
    assert!(gzip.header("content-length").parse::<usize>().expect("a length") < plain.body.len() / 2);
    assert_ne!(gzip.header("etag"), plain.header("etag"));
}

#[actix_web::test]
async fn an_address_written_with_escapes_is_the_same_file() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/static/app%2Ecss")).await;

    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/css; charset=utf-8"));
}

#[actix_web::test]
async fn any_other_name_is_a_404_page() {
    let app = TestApp::spawn().await;

    for path in ["/static/", "/static/app.css.map", "/static/..%2fCargo.toml", "/static/../Cargo.toml"] {
        let page = Page::of(app.request(Method::GET, path)).await;

        assert_eq!(page.status, 404, "{path} {page:#?}");
        assert!(page.body.contains("<html"), "{path} {page:#?}");
    }
}
