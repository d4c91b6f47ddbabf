//! The `Host` header.

use actix_http::RequestHead;
use actix_web::http::{header, uri::Authority};

/// Returns whether the `Host` header of a request is valid. If it isn't, RFC 9112, section 3.2, requires a 400. actix-http
/// refuses requests without this header and requests with several.
///
/// A target such as `http://example.com/` also names a host. Proxies may decide by either, so both must be the same.
pub fn has_valid_host(request: &RequestHead) -> bool {
    let Some(host) = request.headers.get(header::HOST) else { return true };
    let target = request.uri.authority();
    host.to_str().is_ok_and(|host| {
        is_host(host) && target.is_none_or(|target| target.as_str().eq_ignore_ascii_case(host))
    })
}

/// Returns whether this is a name or an address, perhaps with a port.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    // Without a match, the text begins with a user name.
    let port = text.strip_prefix(authority.host()).filter(|_| !authority.host().is_empty());
    port.is_some_and(|port| match port.strip_prefix(':') {
        Some(number) => number.is_empty() || number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn names_and_addresses_with_and_without_ports_are_hosts() {
        for host in
            ["a", "example.com", "example.com:8080", "a:", "127.0.0.1", "[::1]", "[::1]:80", "a_b.c-d"]
        {
            assert!(is_host(host), "{host:?}");
        }
    }

    #[test]
    fn anything_else_is_not_a_host() {
        for text in
            ["", ":80", "a b", "a/b", "a?b", "user@a", "a:b", "a:99999", "a:80:80", "http://a", "a\"", "[::1"]
        {
            assert!(!is_host(text), "{text:?}");
        }
    }
}
