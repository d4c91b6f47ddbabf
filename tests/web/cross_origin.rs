//! Only this site's own pages may change anything.

use reqwest::Method;

use crate::support::{Page, TestApp, log};

/// Returns 303 for every request that passes the cross-origin check.
const FORM: &str = "/probe-redirect";

#[actix_web::test]
async fn only_a_request_that_names_this_origin_is_allowed_and_fetch_metadata_counts_more() {
    let app = TestApp::spawn().await;
    let host = app.url.trim_start_matches("http://").to_owned();
    let (name, _) = host.split_once(':').expect("a port");
    let post = async |site: Option<&str>, origin: Option<&str>| {
        let mut request = app.request(Method::POST, FORM);
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        Page::of(request).await.status.as_u16()
    };

    assert_eq!(post(Some("same-origin"), None).await, 303);
    assert_eq!(post(None, Some(&app.url)).await, 303);
    assert_eq!(post(None, None).await, 403);
    for site in ["cross-site", "same-site", "none", "", "same-origin, cross-site", "Same-Origin"] {
        assert_eq!(post(Some(site), Some(&app.url)).await, 403, "{site}");
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
        assert_eq!(post(None, Some(&origin)).await, 403, "{origin}");
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
        let page = app.send(Method::POST, FORM, &[("host", host), ("origin", origin)]).await;

        assert_eq!(page.status.as_u16(), status, "{host} {origin} {page:#?}");
    }
}

#[actix_web::test]
async fn a_refusal_is_a_page_and_a_log_line_with_the_same_request_id() {
    let app = TestApp::spawn().await;

    let long = format!("https://evil.example/{}", "x".repeat(5_000));
    let page = app.send(Method::POST, FORM, &[("host", "shop.example"), ("origin", &long), ("sec-fetch-site", "cross-site")]).await;

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
        // The client sent these to the proxy.
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
        let page = app.send(method.clone(), path, &[("origin", "https://evil.example"), ("access-control-request-method", "POST")]).await;

        let cors = page.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{method} {path} {page:#?}");
    }
}

#[actix_web::test]
async fn from_another_site_safe_methods_are_answered_and_any_other_is_refused_on_every_page() {
    let app = TestApp::spawn().await;
    let status = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = app.request(method, path).header("sec-fetch-site", "cross-site");
        Page::of(request).await.status.as_u16()
    };

    for path in ["/", "/logout", "/probe"] {
        for (method, expected) in [("GET", 200), ("HEAD", 200), ("TRACE", 405)] {
            assert_eq!(status(method, path).await, expected, "{method} {path}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "CHANGE"] {
            assert_eq!(status(method, path).await, 403, "{method} {path}");
        }
    }
}
