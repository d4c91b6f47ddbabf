//! Only this site's own pages may change anything.

use reqwest::Method;

use crate::support::{TestApp, log};

/// Returns 303 for every request that passes the cross-origin check.
const FORM: &str = "/probe-redirect";

#[actix_web::test]
async fn only_a_request_that_names_this_origin_is_allowed_and_fetch_metadata_takes_precedence() {
    let app = TestApp::spawn().await;
    let host = app.url.trim_start_matches("http://").to_owned();
    let (name, _) = host.split_once(':').expect("a port");
    let post = async |headers: &[(&str, &str)]| app.send(Method::POST, FORM, headers).await.status.as_u16();

    assert_eq!(post(&[("sec-fetch-site", "same-origin")]).await, 303);
    assert_eq!(post(&[("origin", &app.url)]).await, 303);
    assert_eq!(post(&[]).await, 403);
    for site in ["cross-site", "same-site", "none", "", "same-origin, cross-site", "Same-Origin"] {
        assert_eq!(post(&[("sec-fetch-site", site), ("origin", &app.url)]).await, 403, "{site}");
    }
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
        assert_eq!(post(&[("origin", &origin)]).await, 403, "{origin}");
    }
}

#[actix_web::test]
async fn a_default_port_equals_no_port() {
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
        let page = app.send(Method::POST, FORM, &[("host", host), ("origin", origin)]).await;

        assert_eq!(page.status.as_u16(), status, "{host} {origin} {page:#?}");
    }
}

#[actix_web::test]
async fn a_refused_request_returns_a_page_and_logs_a_line_with_the_same_request_id() {
    let app = TestApp::spawn().await;

    let long = format!("https://evil.example/{}", "x".repeat(5_000));
    let page = app
        .send(
            Method::POST,
            FORM,
            &[("host", "shop.example"), ("origin", &long), ("sec-fetch-site", "cross-site")],
        )
        .await;

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
    let shop = ("x-forwarded-host", "shop.example");
    for (proxies, origin, (name, value), status) in [
        ("127.0.0.1", "https://shop.example", shop, 303),
        ("10.0.0.0/8,127.0.0.0/8", "https://shop.example", shop, 303),
        ("10.0.0.1", "https://shop.example", shop, 403),
        ("", "https://shop.example", shop, 403),
        // The client sent these headers, and the proxy passed them on.
        ("127.0.0.1", "https://evil.example", ("forwarded", "host=evil.example"), 403),
        ("127.0.0.1", "https://evil.example", ("x-forwarded-host", "evil.example, shop.example"), 403),
        ("127.0.0.1", "https://evil.example", ("x-forwarded-server", "evil.example"), 403),
    ] {
        let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", proxies)]).await;

        let page = app.send(Method::POST, FORM, &[("origin", origin), (name, value)]).await;

        assert_eq!(page.status.as_u16(), status, "{proxies} {name}: {value} {page:#?}");
    }
}

#[actix_web::test]
async fn another_site_can_send_only_safe_requests_and_read_no_response() {
    let app = TestApp::spawn().await;
    let status = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let origin = ("origin", "https://evil.example");
        let headers = [("sec-fetch-site", "cross-site"), origin, ("access-control-request-method", "POST")];
        let page = app.send(method, path, &headers).await;
        let cors = page.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{path} {page:#?}");
        page.status.as_u16()
    };

    assert_eq!(status("GET", "/health/ready").await, 200);
    for path in ["/", "/logout", "/probe"] {
        for (method, expected) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 405), ("TRACE", 405)] {
            assert_eq!(status(method, path).await, expected, "{method} {path}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "CHANGE"] {
            assert_eq!(status(method, path).await, 403, "{method} {path}");
        }
    }
}
