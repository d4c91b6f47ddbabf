//! Trusted proxies: the client's address, the headers that `connection_info` sees, and the trace IDs of requests.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, test::TestRequest};
use app::proxies::TrustedProxies;
use proptest::prelude::*;

fn contains(list: &str, address: &str) -> bool {
    let proxies = TrustedProxies::parse(list).expect(list);
    proxies.contains(address.parse().expect(address))
}

fn client_of(peer: &str, forwarded_for: &[&str]) -> String {
    let proxies = TrustedProxies::parse("10.0.0.0/8,fd00::/8").expect("networks");
    let mut headers = HeaderMap::new();
    for line in forwarded_for {
        headers.append(header::X_FORWARDED_FOR, HeaderValue::from_str(line).expect("a header value"));
    }
    proxies.find_client(&mut headers, peer.parse().expect("an address")).to_string()
}

#[test]
fn the_list_matches_its_addresses_and_networks_and_no_others() {
    let list = "10.0.0.7, 172.16.0.0/12,fd00::/8,2001:db8::1";
    for inside in ["10.0.0.7", "::ffff:10.0.0.7", "172.31.255.255", "fd12::3", "2001:db8::1"] {
        assert!(contains(list, inside), "{inside}");
    }
    for outside in ["10.0.0.8", "172.32.0.0", "fe80::1", "2001:db8::2", "127.0.0.1"] {
        assert!(!contains(list, outside), "{outside}");
    }
    assert!(!contains("", "127.0.0.1"), "an empty list trusts nobody");
    for invalid in ["localhost", "10.0.0.0/33", "10.0.0.1:80", "*", "10.0.0.1;10.0.0.2"] {
        assert!(TrustedProxies::parse(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
    for (peer, forwarded_for, client) in [
        ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
        ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", &["198.51.100.1", "203.0.113.9,fd00::2"], "203.0.113.9"),
        ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // A list may have empty elements (RFC 9110, section 5.6.1).
        ("10.0.0.1", &["203.0.113.9,"], "203.0.113.9"),
        ("10.0.0.1", &["198.51.100.1,, 203.0.113.9 , ,", "", " ,"], "203.0.113.9"),
        // A proxy without a valid header counts as the client.
        ("10.0.0.1", &[""], "10.0.0.1"),
        ("10.0.0.1", &["unknown"], "10.0.0.1"),
        ("10.0.0.1", &["_hidden"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, junk"], "10.0.0.1"),
        ("10.0.0.1", &[", ,"], "10.0.0.1"),
        // A header from an untrusted client is ignored.
        ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
    ] {
        assert_eq!(client_of(peer, forwarded_for), client, "{peer} {forwarded_for:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Regardless of what a client sends, its address is the one that the trusted proxy appended.
    #[test]
    fn a_client_cannot_choose_its_address(
        forged in proptest::collection::vec(r"[0-9a-z.:, ]{0,20}|10\.0\.0\.[0-9]", 0..4),
        client in any::<[u8; 4]>().prop_filter("no proxy", |address| address[0] != 10),
        empty in "[ ,]{0,3}",
    ) {
        let client = IpAddr::from(client).to_string();
        let appended = format!("{}, {client}{empty}", forged.join(","));
        let mut lines: Vec<&str> = forged.iter().map(String::as_str).collect();
        lines.push(&appended);

        prop_assert_eq!(client_of("10.0.0.1", &lines), client);
        prop_assert_eq!(client_of("192.0.2.1", &lines), "192.0.2.1");
    }
}

const HEADERS: [(&str, &str); 4] = [
    ("forwarded", "for=198.51.100.1;host=evil.example;proto=https"),
    ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
    ("x-forwarded-host", "evil.example, shop.example,"),
    ("x-forwarded-proto", "http, https"),
];

/// Returns the request as `connection_info` sees it after [`TrustedProxies::find_client`].
fn request_from(peer: &str) -> HttpRequest {
    let proxies = TrustedProxies::parse("10.0.0.0/8").expect("a network");
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
fn headers_from_untrusted_clients_are_removed_and_those_from_trusted_proxies_keep_their_last_value() {
    let untrusted = request_from("203.0.113.9");
    let info = untrusted.connection_info();
    assert_eq!(values(untrusted.headers()), [[""; 0]; 4]);
    assert_eq!((info.host(), info.scheme()), ("app.example", "http"));

    let trusted = request_from("10.0.0.1");
    let info = trusted.connection_info();
    assert_eq!(values(trusted.headers()), [&[][..], &["203.0.113.9"], &["shop.example"], &["https"]]);
    let client = info.realip_remote_addr();
    assert_eq!((client, info.host(), info.scheme()), (Some("203.0.113.9"), "shop.example", "https"));
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn trace_of(lines: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_str(line).expect("a header value");
        headers.append(HeaderName::from_static("traceparent"), value);
    }
    let proxies = TrustedProxies::parse("10.0.0.0/8").expect("a network");
    assert_eq!(proxies.trace_id(&headers, Some(([192, 0, 2, 1], 80).into())), None, "not from a proxy");
    assert_eq!(proxies.trace_id(&headers, None), None, "from nowhere");
    proxies.trace_id(&headers, Some(([10, 0, 0, 1], 80).into())).map(str::to_owned)
}

#[test]
fn a_trace_id_has_32_hexadecimal_digits() {
    let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for header in [&valid, &format!("01-{TRACE}-00f067aa0ba902b7-01-more")] {
        assert_eq!(trace_of(&[header]).as_deref(), Some(TRACE), "{header}");
    }
    for invalid in
        ["", "00", TRACE, &valid.replace('4', "g"), &format!("00-{TRACE}0-00f067aa0ba902b7-01"), "00-canary-"]
    {
        assert_eq!(trace_of(&[invalid]), None, "{invalid}");
    }
    assert_eq!(trace_of(&[]), None);
}
