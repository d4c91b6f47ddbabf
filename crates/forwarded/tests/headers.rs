//! Which headers `connection_info` sees.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
    test::TestRequest,
};
use forwarded::TrustedProxies;

const HEADERS: [(&str, &str); 4] = [
    ("forwarded", "for=198.51.100.1;host=evil.example;proto=https"),
    ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
    ("x-forwarded-host", "evil.example, shop.example"),
    ("x-forwarded-proto", "http, https"),
];

/// Returns the request as `connection_info` sees it after [`TrustedProxies::find_client`].
fn request_from(peer: &str) -> HttpRequest {
    let proxies: TrustedProxies = "10.0.0.0/8".parse().expect("a network");
    let mut request = TestRequest::default().insert_header(("host", "app.example"));
    request = HEADERS.into_iter().fold(request, TestRequest::append_header);
    let mut request = request.to_srv_request();
    proxies.find_client(request.headers_mut(), peer.parse().expect("an address"));
    request.into_parts().0
}

fn values(headers: &HeaderMap) -> Vec<Vec<&str>> {
    let names = HEADERS.map(|(name, _)| header::HeaderName::from_static(name));
    names
        .iter()
        .map(|name| headers.get_all(name).map(|value| value.to_str().expect("text")).collect())
        .collect()
}

#[test]
fn an_untrusted_clients_headers_are_removed() {
    let request = request_from("203.0.113.9");

    assert_eq!(values(request.headers()), [[""; 0]; 4]);
    assert_eq!(request.connection_info().host(), "app.example");
    assert_eq!(request.connection_info().scheme(), "http");
}

#[test]
fn only_the_last_value_of_a_trusted_proxys_headers_is_left() {
    let request = request_from("10.0.0.1");

    assert_eq!(values(request.headers()), [&[][..], &["203.0.113.9"], &["shop.example"], &["https"]]);
    let info = request.connection_info();
    let client = info.realip_remote_addr();
    assert_eq!((client, info.host(), info.scheme()), (Some("203.0.113.9"), "shop.example", "https"));
}
