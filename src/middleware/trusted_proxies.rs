//! Finds out who the client is, and leaves of the `X-Forwarded-*` headers only what can be believed.
//!
//! Anyone can send these headers, and actix-web's `connection_info` believes them from everyone. Here they are taken from
//! the proxies of `TRUSTED_PROXIES` alone, and of each only the part that those proxies have written: the end. See [MDN
//! on choosing an address][mdn].
//!
//! [mdn]: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::config::{Config, TrustedProxies};

/// Where a request comes from, as far as can be believed. In the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address of the client of `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let found = request.extensions().get().copied();
        found.unwrap_or_else(|| Self(address(request.peer_addr())))
    }
}

/// Believes the headers of a trusted proxy, and takes those of everyone else away, before anything reads them.
///
/// # Errors
/// Those of the request.
pub async fn trusted_proxies(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let config = request.app_data::<Data<Config>>().expect("app() registers it").clone();
    let peer = address(request.peer_addr());
    let client = sort_out(request.headers_mut(), peer, &config.trusted_proxies);
    request.extensions_mut().insert(ClientAddress(client));
    next.call(request).await
}

/// A connection without an address, such as a Unix socket's, is all the same to us.
fn address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical())
}

fn sort_out(headers: &mut HeaderMap, peer: IpAddr, proxies: &TrustedProxies) -> IpAddr {
    // Most proxies write X-Forwarded-* and pass a client's own Forwarded on as it came.
    headers.remove(header::FORWARDED);
    let chain = take(headers, &header::X_FORWARDED_FOR);
    let host = take(headers, &header::X_FORWARDED_HOST).pop();
    let scheme = take(headers, &header::X_FORWARDED_PROTO).pop();
    if !proxies.contains(peer) {
        return peer;
    }
    let client = client(peer, &chain, proxies);
    put(headers, header::X_FORWARDED_FOR, Some(client.to_string()));
    put(headers, header::X_FORWARDED_HOST, host);
    put(headers, header::X_FORWARDED_PROTO, scheme);
    client
}

/// Goes back from proxy to proxy, each of which has written down who came to it, to the first address that is not a
/// proxy of ours. What stands before that, the client may have invented.
fn client(peer: IpAddr, chain: &[String], proxies: &TrustedProxies) -> IpAddr {
    let mut client = peer;
    for hop in chain.iter().rev() {
        if !proxies.contains(client) {
            break;
        }
        match parse(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// An address, with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = hop.trim_start_matches('[').trim_end_matches(']').parse().ok();
    bare.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The header's values in their order, however many lines they came in.
fn take(headers: &mut HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines: Vec<HeaderValue> = headers.remove(name).collect();
    let values = lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    values.map(|value| String::from_utf8_lossy(value.trim_ascii()).into_owned()).collect()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded_for: &[&str]) -> String {
        let proxies = "10.0.0.0/8,fd00::/8".parse().expect("networks");
        let mut headers = HeaderMap::new();
        for line in forwarded_for {
            headers.append(header::X_FORWARDED_FOR, HeaderValue::from_str(line).expect("a value"));
        }
        sort_out(&mut headers, peer.parse().expect("an address"), &proxies).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        for (peer, forwarded_for, client) in [
            ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.9,fd00::2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client_of(peer, forwarded_for), client, "{peer} {forwarded_for:?}");
        }
    }

    #[test]
    fn a_stranger_who_names_another_address_is_still_the_stranger() {
        assert_eq!(client_of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client_of("203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn a_proxy_that_says_nothing_or_nonsense_is_the_client_itself() {
        for nonsense in ["", "unknown", "_hidden", "198.51.100.1, junk", "203.0.113.9, "] {
            assert_eq!(client_of("10.0.0.1", &[nonsense]), "10.0.0.1", "{nonsense}");
        }
    }
}
