//! Proxies whose headers are trusted. The headers say which client sent a request, and which trace it belongs to.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// Addresses and networks of trusted proxies. Empty if clients connect directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses addresses and networks. The error says what a valid list is.
    pub fn parse(list: &str) -> Result<Self, String> {
        let expected = "addresses and networks separated by commas, such as 10.0.0.7,172.16.0.0/12,fd00::/8";
        let network = |text: &str| {
            let address = text.parse::<IpAddr>().map(|address| address.to_canonical().into());
            address.or_else(|_| text.parse()).map_err(|_| expected.to_owned())
        };
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether `address` is a trusted proxy. A listener on `[::]` sees the IPv6 form of an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Returns the address of the client whose request came from `peer`. Afterward, `connection_info` can be trusted:
    /// each `X-Forwarded-*` header has at most one value, written by a trusted proxy, and `Forwarded` is removed.
    pub fn find_client(&self, headers: &mut HeaderMap, peer: IpAddr) -> IpAddr {
        // Most proxies write X-Forwarded-* and pass on the client's own Forwarded header.
        headers.remove(header::FORWARDED);
        let is_trusted = self.contains(peer);
        for name in [header::X_FORWARDED_HOST, header::X_FORWARDED_PROTO] {
            if let Some(value) = take(headers, &name).pop().filter(|_| is_trusted) {
                headers.insert(name, value);
            }
        }
        let chain = take(headers, &header::X_FORWARDED_FOR);
        let hops = chain.iter().rev().map_while(address);
        // Finds the last address that isn't a trusted proxy. That client may have made up everything before it.
        let client = hops.fold(peer.to_canonical(), |last, hop| if self.contains(last) { hop } else { last });
        if is_trusted {
            headers.insert(header::X_FORWARDED_FOR, client.to_string().try_into().expect("ASCII"));
        }
        client
    }

    /// Returns the ID in `traceparent` (<https://www.w3.org/TR/trace-context/>), if a trusted proxy sent it.
    pub fn trace_id<'a>(&self, headers: &'a HeaderMap, peer: Option<SocketAddr>) -> Option<&'a str> {
        peer.filter(|peer| self.contains(peer.ip()))?;
        let id = headers.get("traceparent")?.to_str().ok()?.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }
}

/// Parses an address with or without a port.
fn address(hop: &HeaderValue) -> Option<IpAddr> {
    let hop = hop.to_str().ok()?;
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = hop.trim_start_matches('[').trim_end_matches(']').parse().ok();
    bare.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// Removes all lines of a header and returns its values in order, without empty ones (RFC 9110, section 5.6.1.2).
fn take(headers: &mut HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    let lines: Vec<HeaderValue> = headers.remove(name).collect();
    let values = lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let values = values.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty());
    values.filter_map(|value| HeaderValue::from_bytes(value).ok()).collect()
}
