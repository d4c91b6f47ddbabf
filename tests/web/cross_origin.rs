//! Only this site's own pages may change anything.

use reqwest::Method;

use crate::support::{Page, TestApp, log};

/// Returns 303 for every request that passes the cross-origin check.
const FORM: &str = "/probe-redirect";

#[actix_web::test]
async fn a_request_from_the_same_origin_is_allowed() {
    let app = TestApp::spawn().await;

    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", &app.url)] {
        let page = Page::of(app.request(Method::POST, FORM).header(name, value)).await;

        assert_eq!(page.status, 303, "{name}: {value} {page:#?}");
    }
}

#[actix_web::test]
async fn an_origin_that_only_resembles_this_one_is_refused() {
    let app = TestApp::spawn().await;
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
        let page = Page::of(app.request(Method::POST, FORM).header("origin", &origin)).await;

        assert_eq!(page.status, 403, "{origin} {page:#?}");
    }
}

#[actix_web::test]
async fn a_default_port_is_the_same_as_none() {
    let app = TestApp::spawn().await;

    for (host, origin, status) in [
        ("app.example:443", "https://app.example", 303),
        ("app.example", "https://app.example:443", 303),
        ("app.example:", "https://app.example", 303),
        ("app.example:80", "http://app.example", 303),
        ("[::1]:443", "https://[::1]", 303),
        ("App.Example:443", "https://app.example", 303),
        ("app.example:80", "https://app.example", 403),
        ("app.example:443", "http://app.example", 403),
        ("app.example:8443", "https://app.example", 403),
        ("app.example:443", "https://app.example:8443", 403),
        ("app.example:443", "ftp://app.example", 403),
        ("app.example:443", "https://evil.example", 403),
        ("app.example:443", "https://", 403),
    ] {
        let post = app.request(Method::POST, FORM).header("host", host).header("origin", origin);
        let page = Page::of(post).await;

        assert_eq!(page.status.as_u16(), status, "{host} {origin} {page:#?}");
    }
}

#[actix_web::test]
async fn fetch_metadata_counts_more_than_the_origin() {
    let app = TestApp::spawn().await;

    for site in ["cross-site", "same-site", "none", "", "same-origin, cross-site", "Same-Origin"] {
        let post = app.request(Method::POST, FORM).header("origin", &app.url);
        let page = Page::of(post.header("sec-fetch-site", site)).await;

        assert_eq!(page.status, 403, "{site} {page:#?}");
    }
}

#[actix_web::test]
async fn a_client_that_does_not_name_the_page_is_refused() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::POST, FORM)).await;

    assert_eq!(page.status, 403, "{page:#?}");
}

#[actix_web::test]
async fn a_refusal_is_a_page_and_a_log_line_with_the_same_request_id() {
    let app = TestApp::spawn().await;

    let long = format!("https://evil.example/{}", "x".repeat(5_000));
    let post = app.request(Method::POST, FORM).header("host", "shop.example").header("origin", &long);
    let page = Page::of(post.header("sec-fetch-site", "cross-site")).await;

    let lines = log::lines_of(page.request_id());
    let refusal = lines.iter().find(|line| line["message"] == "refused a cross-origin request");
    let refusal = refusal.unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!((&refusal["level"], &refusal["client"]), (&"WARN".into(), &"127.0.0.1".into()));
    assert_eq!((&refusal["host"], &refusal["site"]), (&"shop.example".into(), &"cross-site".into()));
    let origin = refusal["origin"].as_str().expect("text");
    assert!(origin.starts_with("https://evil.example/x") && origin.len() < 300, "{refusal}");
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_origin_is_compared_with_the_host_that_the_visitor_sees() {
    for (proxies, status) in
        [("127.0.0.1", 303), ("10.0.0.0/8,127.0.0.0/8", 303), ("10.0.0.1", 403), ("", 403)]
    {
        let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", proxies)]).await;

        let post = app.request(Method::POST, FORM).header("origin", "https://shop.example");
        let page = Page::of(post.header("x-forwarded-host", "shop.example")).await;

        assert_eq!(page.status.as_u16(), status, "{proxies} {page:#?}");
    }
}

#[actix_web::test]
async fn forwarding_headers_that_the_client_sent_to_the_proxy_are_ignored() {
    let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;

    for (name, value) in [
        ("forwarded", "host=evil.example"),
        ("x-forwarded-host", "evil.example, shop.example"),
        ("x-forwarded-server", "evil.example"),
    ] {
        let post = app.request(Method::POST, FORM).header("origin", "https://evil.example");
        let page = Page::of(post.header(name, value)).await;

        assert_eq!(page.status, 403, "{name}: {value} {page:#?}");
    }
}

#[actix_web::test]
async fn no_other_origin_is_allowed_to_read_anything() {
    let app = TestApp::spawn().await;

    for (method, path) in [
        (Method::OPTIONS, "/"),
        (Method::OPTIONS, "/probe"),
        (Method::OPTIONS, FORM),
        (Method::GET, "/"),
        (Method::GET, "/probe"),
        (Method::GET, "/health/ready"),
    ] {
        let request = app.request(method.clone(), path).header("origin", "https://evil.example");
        let page = Page::of(request.header("access-control-request-method", "POST")).await;

        let cors = page.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{method} {path} {page:#?}");
    }
}

#[actix_web::test]
async fn every_unsafe_method_from_another_site_is_refused_on_every_page() {
    let app = TestApp::spawn().await;
    let methods = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

    for path in ["/", "/logout", "/probe"] {
        for method in &methods {
            let request = app.request(method.clone(), path);
            let page = Page::of(request.header("sec-fetch-site", "cross-site")).await;

            assert_eq!(page.status, 403, "{method} {path} {page:#?}");
        }
        let made_up = Method::from_bytes(b"CHANGE").expect("a method");
        let page = Page::of(app.request(made_up, path).header("sec-fetch-site", "cross-site")).await;
        assert_eq!(page.status, 403, "CHANGE {path} {page:#?}");
    }
}

#[actix_web::test]
async fn safe_methods_from_another_site_are_answered_as_usual() {
    let app = TestApp::spawn().await;

    for (method, status) in [(Method::GET, 200), (Method::HEAD, 200), (Method::TRACE, 405)] {
        let request = app.request(method.clone(), "/probe").header("sec-fetch-site", "cross-site");
        let page = Page::of(request).await;

        assert_eq!(page.status.as_u16(), status, "{method} {page:#?}");
    }
}
