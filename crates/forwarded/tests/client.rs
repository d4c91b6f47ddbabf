//! Which address counts as the client.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use forwarded::TrustedProxies;

fn contains(list: &str, address: &str) -> bool {
    let proxies: TrustedProxies = list.parse().expect(list);
    proxies.contains(address.parse().expect(address))
}

fn client_of(peer: &str, forwarded_for: &[&str]) -> String {
    let proxies: TrustedProxies = "10.0.0.0/8,fd00::/8".parse().expect("networks");
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
}

#[test]
fn a_list_with_anything_but_addresses_and_networks_is_rejected() {
    for invalid in ["localhost", "10.0.0.0/33", "10.0.0.1:80", "*", "10.0.0.1;10.0.0.2"] {
        assert!(invalid.parse::<TrustedProxies>().is_err(), "{invalid}");
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
    ] {
        assert_eq!(client_of(peer, forwarded_for), client, "{peer} {forwarded_for:?}");
    }
}

#[test]
fn a_header_from_an_untrusted_client_is_ignored() {
    assert_eq!(client_of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    assert_eq!(client_of("203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
}

#[test]
fn a_proxy_without_a_valid_header_counts_as_the_client() {
    for invalid in ["", "unknown", "_hidden", "198.51.100.1, junk", "203.0.113.9, "] {
        assert_eq!(client_of("10.0.0.1", &[invalid]), "10.0.0.1", "{invalid}");
    }
}
