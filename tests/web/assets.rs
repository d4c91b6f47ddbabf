//! Static files: how long browsers may cache them, and how they are sent.

use reqwest::{Client, Method};

use crate::headers::{assert_nothing_inline, assert_secure};
use crate::support::{Page, SECRET, TestApp, TestDatabase, process::Process};

const CSS: &str = "/static/app.css";

#[actix_web::test]
async fn a_file_is_immutable_at_the_url_with_its_hash_and_otherwise_revalidated_by_its_etag() {
    let app = TestApp::spawn().await;
    let page = app.get("/nothing").await;
    let (_, rest) = page.body.split_once(r#"<link rel="stylesheet" href=""#).expect("a stylesheet");
    let (address, _) = rest.split_once('"').expect("an address");

    let css = app.get(address).await;

    assert!(address.starts_with("/static/app.css?v="), "{address}");
    assert_eq!((css.status.as_u16(), css.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(css.header("cache-control"), "public, max-age=31536000, immutable");

    let first = app.get(CSS).await;
    let etag = first.header("etag");
    let old = app.get("/static/app.css?v=0123456789abcdef").await;

    assert_eq!(first.header("cache-control"), "public, no-cache");
    assert_eq!(old.header("cache-control"), "public, no-cache", "the hash of another version: {old:#?}");
    for known in [etag, &format!("\"other\", {etag}"), "*"] {
        let again = app.send(Method::GET, CSS, &[("if-none-match", known)]).await;

        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{known} {again:#?}");
        assert_eq!(again.header("etag"), etag, "{known} {again:#?}");
    }
    let changed = app.send(Method::GET, CSS, &[("if-none-match", "\"other\"")]).await;
    assert_eq!(changed.status, 200, "{changed:#?}");
}

#[actix_web::test]
async fn a_file_is_compressed_if_the_browser_accepts_it_and_both_forms_share_a_weak_etag() {
    let app = TestApp::spawn().await;
    let get = |encodings: &'static str| app.request(Method::GET, CSS).header("accept-encoding", encodings);
    let plain = app.get(CSS).await;

    let refused = Page::of(get("gzip;q=0")).await;
    let gzip = get("br, gzip").send().await.expect("a response");
    let again = Page::of(get("gzip").header("if-none-match", plain.header("etag"))).await;

    assert_eq!((plain.header("content-encoding"), refused.header("content-encoding")), ("", ""));
    assert_eq!(refused.body, plain.body);
    assert_eq!(gzip.headers()["content-encoding"], "gzip", "{gzip:#?}");
    assert_eq!(gzip.headers()["vary"], "accept-encoding", "{gzip:#?}");
    assert_eq!(gzip.headers()["etag"], plain.header("etag"), "{gzip:#?}");
    assert!(gzip.bytes().await.expect("the whole body").len() < plain.body.len() / 2);
    assert!(plain.header("etag").starts_with("W/\""), "{plain:#?}");
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{again:#?}");
}

#[actix_web::test]
async fn an_escaped_path_returns_the_same_file_and_any_other_name_returns_a_404_page() {
    let app = TestApp::spawn().await;

    let page = app.get("/static/app%2Ecss").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/css; charset=utf-8"));
    for path in ["/static/", "/static/app.css.map", "/static/..%2fCargo.toml", "/static/../Cargo.toml"] {
        let page = app.get(path).await;

        assert_eq!(page.status, 404, "{path} {page:#?}");
        assert!(page.body.contains("<html"), "{path} {page:#?}");
    }
}

#[actix_web::test]
async fn pages_reload_after_a_restart_only_in_a_debug_build_that_cargo_dev_watches() {
    let database = TestDatabase::new().await;
    let start = async |variable| {
        let process = Process::spawn(&[
            ("DATABASE_URL", &database.url),
            ("SESSION_SECRET", SECRET),
            (variable, "true"),
        ]);
        let get = |path| Page::of(Client::new().get(format!("{}{path}", process.url)));
        (get("/nothing").await, get("/static/reload.js").await, process.log())
    };

    let (watched, script, log) = start("DEV_RELOAD").await;
    let (restarted, ..) = start("DEV_RELOAD").await;
    let (usual, no_script, _) = start("NOTHING").await;

    let address = |page: &Page| Some(page.body.split_once("/static/reload.js?v=")?.1[..16].to_owned());
    assert_eq!(address(&watched).is_some(), cfg!(debug_assertions), "{watched:#?}");
    assert_eq!(script.status == 200, cfg!(debug_assertions), "{script:#?}");
    assert_eq!(address(&watched) != address(&restarted), cfg!(debug_assertions));
    assert!(script.header("etag").contains(&address(&watched).unwrap_or_default()), "{script:#?}");
    assert!(script.set_cookies().is_empty() && (script.status != 200 || !log.contains("reload")), "{log}");
    assert!(address(&usual).is_none() && no_script.status == 404, "{usual:#?}");
    for page in [&watched, &usual] {
        assert_nothing_inline(page);
        assert_secure(page, "/nothing");
    }
}
