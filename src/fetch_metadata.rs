//! What a browser says about a request: which site's page it comes from, and what it is for. Browsers send
//! `Sec-Fetch-Site`, and old ones send `Origin`, so forms don't need CSRF tokens ([OWASP][owasp]).
//!
//! [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};

/// Returns the `Sec-Fetch-Site` header. See [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/).
pub fn fetch_site(request: &HttpRequest) -> Option<&str> {
    request.headers().get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default())
}

/// Returns whether the request comes from a page of this site. Returns `false` if the client sends neither header. A
/// program can add `Sec-Fetch-Site: same-origin` to its requests, but another site's page can't.
pub fn is_same_origin(request: &HttpRequest) -> bool {
    if let Some(site) = fetch_site(request) {
        return site == "same-origin";
    }
    // Ignores the scheme, because the app doesn't see the visitor's scheme behind a proxy that terminates TLS.
    origin(request).and_then(|origin| origin.split_once("://")).is_some_and(|(scheme, host)| {
        let default = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return false,
        };
        // A default port is the same as none (RFC 6454, section 4).
        let bare = |host| str::strip_suffix(host, default).or(host.strip_suffix(':')).unwrap_or(host);
        bare(host).eq_ignore_ascii_case(bare(request.connection_info().host()))
    })
}

/// Returns the `Origin` header.
pub fn origin(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::ORIGIN)?.to_str().ok()
}

/// Returns whether a person sees the response. A prefetched page may never be shown.
pub fn is_seen(request: &HttpRequest) -> bool {
    request.method() == Method::GET && !is_prefetch(request)
}

/// Returns whether the browser [prefetches](https://fetch.spec.whatwg.org/#sec-purpose-header) the page.
pub fn is_prefetch(request: &HttpRequest) -> bool {
    // `Purpose` and `X-Moz` are the names in older browsers.
    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("sec-purpose"),
        HeaderName::from_static("purpose"),
        HeaderName::from_static("x-moz"),
    ];
    let mut purposes = NAMES.into_iter().filter_map(|name| request.headers().get(name)?.to_str().ok());
    purposes.any(|purpose| purpose.to_ascii_lowercase().starts_with("prefetch"))
}

/// Returns whether the client requests a document and not an image or data. True for old browsers, which don't say.
pub fn is_for_document(request: &HttpRequest) -> bool {
    request.headers().get("sec-fetch-dest").is_none_or(|destination| destination == "document")
}
