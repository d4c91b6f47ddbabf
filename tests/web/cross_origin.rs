//! Only our own pages may change anything.

use reqwest::Method;

use crate::support::{Page, TestApp, log};

async fn sessions(app: &TestApp) -> i64 {
    app.database.number("select count(*) from sessions").await
}

#[actix_web::test]
async fn an_origin_that_only_looks_like_ours_is_refused() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;
    let host = app.url.trim_start_matches("http://").to_owned();
    let (name, _) = host.split_once(':').expect("a port");

    for origin in [
        format!("http://{host}.evil.example"),
        format!("http://evil.example/{host}"),
        format!("http://evil.example#{host}"),
        format!("http://{host}@evil.example"),
        format!("http://evil@{host}"),
        format!("http://{name}"),
        format!("http://{name}:1"),
        format!("http://{host}, http://evil.example"),
        host.clone(),
        "null".to_owned(),
        String::new(),
    ] {
        let page = Page::of(browser.request(Method::POST, "/logout").header("origin", &origin)).await;

        assert_eq!(page.status, 403, "{origin} {page:#?}");
    }
    assert_eq!(sessions(&app).await, 1);
}

#[actix_web::test]
async fn what_the_browser_says_of_the_site_counts_more_than_the_origin() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    let foreign = browser.request(Method::POST, "/logout").header("sec-fetch-site", "cross-site");
    let foreign = Page::of(foreign.header("origin", &app.url)).await;
    let none = Page::of(browser.request(Method::POST, "/logout").header("sec-fetch-site", "none")).await;

    assert_eq!((foreign.status.as_u16(), none.status.as_u16()), (403, 403));
    assert_eq!(sessions(&app).await, 1);
}

#[actix_web::test]
async fn a_refusal_is_a_page_and_a_line_in_the_log_with_the_same_request_id() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::POST, "/logout").header("origin", "https://evil.example")).await;

    let lines = log::lines_of(page.request_id());
    let refusal = lines.iter().find(|line| line["message"] == "refused a cross-origin request");
    let refusal = refusal.unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!((&refusal["level"], &refusal["client"]), (&"WARN".into(), &"127.0.0.1".into()));
    assert!(!refusal.to_string().contains("evil.example"), "nothing of the request's own: {refusal}");
}

#[actix_web::test]
async fn behind_a_trusted_proxy_our_host_is_the_one_that_the_visitor_sees() {
    for (proxies, status) in
        [("127.0.0.1", 303), ("10.0.0.0/8,127.0.0.0/8", 303), ("10.0.0.1", 403), ("", 403)]
    {
        let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", proxies)]).await;

        let post = app.request(Method::POST, "/logout").header("origin", "https://shop.example");
        let page = Page::of(post.header("x-forwarded-host", "shop.example")).await;

        assert_eq!(page.status.as_u16(), status, "{proxies} {page:#?}");
    }
}

#[actix_web::test]
async fn of_what_came_to_the_proxy_only_the_proxys_own_word_counts() {
    let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;

    for (name, value) in [
        ("forwarded", "host=evil.example"),
        ("x-forwarded-host", "evil.example, shop.example"),
        ("x-forwarded-server", "evil.example"),
    ] {
        let post = app.request(Method::POST, "/logout").header("origin", "https://evil.example");
        let page = Page::of(post.header(name, value)).await;

        assert_eq!(page.status, 403, "{name}: {value} {page:#?}");
    }
}

#[actix_web::test]
async fn no_other_origin_is_allowed_to_read_anything() {
    let app = TestApp::spawn().await;

    for (method, path) in
        [(Method::OPTIONS, "/"), (Method::OPTIONS, "/logout"), (Method::GET, "/"), (Method::GET, "/visits")]
    {
        let request = app.request(method.clone(), path).header("origin", "https://evil.example");
        let page = Page::of(request.header("access-control-request-method", "POST")).await;

        let cors = page.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{method} {path} {page:#?}");
    }
}

#[actix_web::test]
async fn a_foreign_page_can_not_use_a_method_that_nobody_serves_either() {
    let app = TestApp::spawn().await;

    for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
        let page =
            Page::of(app.request(method.clone(), "/logout").header("sec-fetch-site", "cross-site")).await;

        assert_eq!(page.status, 405, "{method} {page:#?}");
    }
}
