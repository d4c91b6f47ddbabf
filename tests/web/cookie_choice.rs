//! Which cookie of a request counts, and what is left of the others.

use actix_web::{
    cookie::{Cookie, CookieJar},
    http::header::{COOKIE, HeaderMap, HeaderValue},
};
use app::{secret::SecretKeys, session::SessionCookie};

use crate::support::TestApp;

const NEW: &str = "the new secret of these tests alone";
const OLD: &str = "the old secret of these tests alone";

fn encrypt(secret: &str, text: &str) -> String {
    let keys: SecretKeys = secret.parse().expect("a secret");
    let mut jar = CookieJar::new();
    jar.private_mut(keys.current()).add(Cookie::new("id", text.to_owned()));
    jar.get("id").expect("it was just added").encoded().to_string()
}

fn cookie(secrets: &str) -> SessionCookie {
    SessionCookie::new(&TestApp::config(&[("SESSION_SECRET", secrets)]))
}

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    lines
        .iter()
        .for_each(|line| headers.append(COOKIE, HeaderValue::from_bytes(line).expect("a header value")));
    headers
}

#[test]
fn only_one_cookie_of_the_name_stays_in_the_request() {
    let valid = encrypt(NEW, "one");
    let [first, last] = [format!("{valid}; id=junk"), format!("id=junk; {valid}")];
    for lines in [
        &[first.as_bytes()][..],
        &[last.as_bytes()],
        &[valid.as_bytes(), b"id=junk"],
        &[b"id=junk", valid.as_bytes()],
    ] {
        let mut headers = headers(lines);

        assert_eq!(cookie(NEW).choose(&mut headers).expect("one is valid").1, "one");
        assert_eq!(headers.get_all(COOKIE).collect::<Vec<_>>(), [&*valid], "{lines:?}");
    }
}

#[test]
fn other_cookies_stay_and_bytes_that_are_not_text_are_dropped() {
    let valid = encrypt(NEW, "one");
    let mut headers = headers(&[b"theme=dark; bad=\xff", valid.as_bytes(), b"id=forged"]);

    cookie(NEW).choose(&mut headers).expect("one is valid");

    assert_eq!(headers.get_all(COOKIE).collect::<Vec<_>>(), [&*format!("{valid}; theme=dark")]);
}

#[test]
fn a_request_without_a_valid_cookie_keeps_no_cookie_of_the_name() {
    let mut headers = headers(&[b"id=forged; theme=dark", encrypt(OLD, "one").as_bytes()]);

    assert!(cookie(NEW).choose(&mut headers).is_none());
    assert_eq!(headers.get_all(COOKIE).collect::<Vec<_>>(), ["theme=dark"]);
}

#[test]
fn a_cookie_of_an_old_secret_reaches_the_app_encrypted_with_the_current_one() {
    let sent = encrypt(OLD, "one");
    let mut headers = headers(&[sent.as_bytes()]);

    let both = cookie(&format!("{NEW},{OLD}"));
    let (value, key) = both.choose(&mut headers).expect("the old secret decrypts it");

    assert_eq!((key, format!("id={value}")), ("one".to_owned(), sent));
    assert_eq!(cookie(NEW).choose(&mut headers).expect("the new secret decrypts it").1, "one");
}
