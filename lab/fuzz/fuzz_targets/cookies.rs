//! Sends `Cookie` headers with arbitrary contents. The app must find the valid cookie among them, and accept
//! nothing else.

#![no_main]

use std::sync::LazyLock;

use actix_web::cookie::{Cookie, CookieJar};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use actix_web::test::TestRequest;
use app::{Config, session::{put_first, valid_in}};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01";

/// The settings, and a valid `name=value`.
static VALID: LazyLock<(Config, String)> = LazyLock::new(|| {
    let config = Config::from_lookup(|name| match name {
        "DATABASE_URL" => Some("postgres://localhost/never".to_owned()),
        "SESSION_SECRET" => Some("a secret of the fuzz targets and of nothing else".to_owned()),
        "COOKIE_SECURE" => Some("false".to_owned()),
        _ => None,
    });
    let config = config.expect("valid settings");
    let mut jar = CookieJar::new();
    jar.private_mut(config.session_secret.current()).add(Cookie::new("id", KEY));
    let pair = jar.get("id").expect("it was just added").encoded().to_string();
    (config, pair)
});

fuzz_target!(|data: &[u8]| {
    let (config, pair) = &*VALID;
    let [place, data @ ..] = data else { return };
    let mut headers = headers(data);
    let lines = headers.len();
    // The valid cookie is on its own line, at the start or the end of another line, or missing.
    let is_there = match place % 4 {
        0 => false,
        1 => insert(&mut headers, lines, pair.as_bytes().to_vec()),
        2 => replace(&mut headers, |line| [pair.as_bytes(), b";", line].concat()),
        _ => replace(&mut headers, |line| [line, b"; ", pair.as_bytes()].concat()),
    };

    let mut map = HeaderMap::new();
    headers.into_iter().for_each(|line| map.append(COOKIE, line));
    let (valid, others) = valid_in(config, &map);
    let found = valid.into_iter().next();
    put_first(found.as_ref(), &others, &mut map);

    assert_eq!(found.map(|cookie| cookie.key).as_deref(), Some(KEY).filter(|_| is_there));
    assert!(map.get_all(COOKIE).count() <= 1);
    let mut request = TestRequest::default();
    for line in map.get_all(COOKIE) {
        request = request.append_header((COOKIE, line.clone()));
    }
    let request = request.to_http_request();
    let cookies = request.cookies().expect("text");
    let mut named = cookies.iter().filter(|cookie| cookie.name() == "id");
    let jar = CookieJar::new();
    let is_valid = |named: &Cookie| jar.private(config.session_secret.current()).decrypt(named.clone().into_owned()).is_some();
    assert!(!is_there || named.next().is_some_and(|first| is_valid(first)), "the valid cookie is the first one");
    assert!(!named.any(|other| is_valid(other)), "no other valid cookie is left");
});

/// Returns a header for each line of the input that is a valid header value.
fn headers(data: &[u8]) -> Vec<HeaderValue> {
    data.split(|&byte| byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect()
}

fn insert(headers: &mut Vec<HeaderValue>, at: usize, line: Vec<u8>) -> bool {
    headers.insert(at, HeaderValue::from_bytes(&line).expect("ASCII"));
    true
}

fn replace(headers: &mut [HeaderValue], with: impl Fn(&[u8]) -> Vec<u8>) -> bool {
    let Some(line) = headers.first_mut() else { return false };
    *line = HeaderValue::from_bytes(&with(line.as_bytes())).expect("a valid line with a valid pair");
    true
}
