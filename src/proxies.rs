//! Proxies whose headers are trusted. The headers say which client sent a request, and which trace it belongs to.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// Addresses and networks of trusted proxies. The list is empty if clients connect directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Returns whether `address` is a trusted proxy. IPv4 addresses also match in their IPv6 form, which a listener on
    /// `[::]` sees.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Returns the address of the client whose request came from `peer`.
    ///
    /// Keeps at most one value in each `X-Forwarded-*` header, and only if a trusted proxy wrote it. Removes
    /// `Forwarded`. Afterward, `connection_info` can be trusted.
    pub fn find_client(&self, headers: &mut HeaderMap, peer: IpAddr) -> IpAddr {
        // Most proxies write X-Forwarded-* and pass on the client's own Forwarded header.
        headers.remove(header::FORWARDED);
        let chain = take(headers, &header::X_FORWARDED_FOR);
        let host = take(headers, &header::X_FORWARDED_HOST).pop();
        let scheme = take(headers, &header::X_FORWARDED_PROTO).pop();
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        // Finds the last address that isn't a trusted proxy. That client may have made up everything before it.
        for hop in chain.iter().rev() {
            match parse(hop) {
                Some(address) if self.contains(client) => client = address,
                _ => break,
            }
        }
        put(headers, header::X_FORWARDED_FOR, Some(client.to_string()));
        put(headers, header::X_FORWARDED_HOST, host);
        put(headers, header::X_FORWARDED_PROTO, scheme);
        client
    }

    /// Returns the trace ID in a request's `traceparent` header, if a trusted proxy sent it.
    ///
    /// See [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    pub fn trace_id<'a>(&self, headers: &'a HeaderMap, peer: Option<SocketAddr>) -> Option<&'a str> {
        peer.filter(|peer| self.contains(peer.ip()))?;
        let id = headers.get("traceparent")?.to_str().ok()?.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}

impl FromStr for TrustedProxies {
    /// A description of a valid list.
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let expected = "addresses and networks separated by commas, such as 10.0.0.7,172.16.0.0/12,fd00::/8";
        let network = |text: &str| {
            let address = text.parse::<IpAddr>().map(|address| address.to_canonical().into());
            address.or_else(|_| text.parse()).map_err(|_| expected.to_owned())
        };
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// Parses an address with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = hop.trim_start_matches('[').trim_end_matches(']').parse().ok();
    bare.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// Removes all lines of a header and returns its values in order, without empty ones ([RFC 9110][list]).
///
/// [list]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2
fn take(headers: &mut HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines: Vec<HeaderValue> = headers.remove(name).collect();
    let values = lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let values = values.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty());
    values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(name, value);
    }
}
