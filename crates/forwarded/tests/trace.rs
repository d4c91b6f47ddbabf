//! Which trace ID a request has.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use forwarded::TrustedProxies;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn of(lines: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_str(line).expect("a header value");
        headers.append(HeaderName::from_static("traceparent"), value);
    }
    let proxies: TrustedProxies = "10.0.0.0/8".parse().expect("a network");
    assert_eq!(proxies.trace_id(&headers, Some(([192, 0, 2, 1], 80).into())), None, "not from a proxy");
    assert_eq!(proxies.trace_id(&headers, None), None, "from nowhere");
    proxies.trace_id(&headers, Some(([10, 0, 0, 1], 80).into())).map(str::to_owned)
}

#[test]
fn a_valid_header_has_a_trace_id() {
    for version in ["00", "01", "cc"] {
        let header = format!("{version}-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(of(&[&header]).as_deref(), Some(TRACE), "{header}");
    }
    let later = format!("01-{TRACE}-00f067aa0ba902b7-01-more");
    assert_eq!(of(&[&later]).as_deref(), Some(TRACE), "{later}");
}

#[test]
fn an_invalid_header_has_none() {
    let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let zeros = "0".repeat(32);
    for invalid in [
        "",
        "00",
        TRACE,
        &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
        &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
        &format!("00-{TRACE}-00f067aa0ba902b7"),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-{zeros}-00f067aa0ba902b7-01"),
        &valid.to_uppercase(),
        &valid.replace('4', "g"),
        &format!("00-{TRACE}0-00f067aa0ba902b7-01"),
    ] {
        assert_eq!(of(&[invalid]), None, "{invalid}");
    }
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[&valid, &valid]), None, "two headers");
}
