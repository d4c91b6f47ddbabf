//! Which cookie of a request counts, and what is left of the others.

use actix_web::{
    cookie::Cookie,
    http::header::{COOKIE, HeaderMap, HeaderValue},
};
use app::session::{SessionCookie, keep_only};
use proptest::prelude::*;

use crate::{
    secrets::{self, NEW, OLD},
    support::TestApp,
};

fn encrypt(secret: &str, key: &str) -> String {
    secrets::encrypt(secret, "id", key)
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

/// Returns the value and the key of the chosen cookie: the one whose key is `live`, or the first one.
fn choose(cookie: &SessionCookie, headers: &mut HeaderMap, live: &str) -> Option<(String, String)> {
    let (valid, others) = cookie.valid_in(headers);
    let chosen = valid.iter().position(|cookie| cookie.key == live).unwrap_or(0);
    let chosen = valid.into_iter().nth(chosen);
    keep_only(chosen.as_ref(), &others, headers);
    chosen.map(|cookie| (cookie.value, cookie.key))
}

#[test]
fn of_many_valid_cookies_only_four_are_looked_up() {
    let pairs: Vec<String> = (0..6).map(|n| encrypt(NEW, &format!("key{n}"))).collect();
    let mut headers = headers(&[pairs.join("; ").as_bytes()]);

    // The fifth one is live, but the store isn't asked about it.
    let chosen = choose(&cookie(NEW), &mut headers, "key4").expect("one is valid").1;

    assert_eq!(chosen, "key0");
    assert_eq!(headers.get_all(COOKIE).collect::<Vec<_>>(), [&*pairs[0]]);
    // Copies of a cookie count once.
    let copies = [[&*pairs[0]; 4].as_slice(), &[&pairs[4]]].concat().join("; ");
    let mut headers = self::headers(&[copies.as_bytes()]);
    assert_eq!(choose(&cookie(NEW), &mut headers, "key4").expect("one is valid").1, "key4");
}

#[test]
fn other_cookies_stay_and_bytes_that_are_not_text_are_dropped() {
    let valid = encrypt(NEW, "one");
    let mut with = headers(&[b"theme=dark; bad=\xff", valid.as_bytes(), b"id=forged"]);
    let mut without = headers(&[b"id=forged; theme=dark", encrypt(OLD, "one").as_bytes()]);

    choose(&cookie(NEW), &mut with, "").expect("one is valid");

    assert!(choose(&cookie(NEW), &mut without, "").is_none());
    assert_eq!(with.get_all(COOKIE).collect::<Vec<_>>(), [&*format!("{valid}; theme=dark")]);
    assert_eq!(without.get_all(COOKIE).collect::<Vec<_>>(), ["theme=dark"]);
}

#[test]
fn a_cookie_of_an_old_secret_reaches_the_app_encrypted_with_the_current_one() {
    let sent = encrypt(OLD, "one");
    let mut headers = headers(&[sent.as_bytes()]);

    let both = cookie(&format!("{NEW},{OLD}"));
    let (value, key) = choose(&both, &mut headers, "").expect("the old secret decrypts it");

    assert_eq!((key, format!("id={value}")), ("one".to_owned(), sent));
    assert_eq!(choose(&cookie(NEW), &mut headers, "").expect("the new secret decrypts it").1, "one");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Among any bytes and any valid cookies, the app finds the one whose session is live, and removes the
    /// others.
    #[test]
    fn the_live_cookie_is_found_among_all_others(
        lines in proptest::collection::vec(proptest::collection::vec("[ -:<-~\u{80}-\u{ff}]{0,20}|id=[!-:<-~]{0,9}", 0..4), 0..4),
        keys in proptest::collection::hash_set("[a-z]{1,8}", 0..4),
        at in any::<proptest::sample::Index>(),
    ) {
        let valid = keys.iter().map(|key| encrypt(NEW, key));
        let mut lines: Vec<String> = lines.iter().map(|pairs| pairs.join(";")).collect();
        valid.for_each(|pair| lines.insert(at.index(lines.len() + 1), pair));
        let mut headers = headers(&lines.iter().map(String::as_bytes).collect::<Vec<_>>());
        let live = keys.iter().next();

        let chosen = choose(&cookie(NEW), &mut headers, live.map_or("", String::as_str));

        prop_assert_eq!(chosen.as_ref().map(|(_, key)| key), live);
        let left = headers.get(COOKIE).map(HeaderValue::as_bytes).unwrap_or_default();
        let left = String::from_utf8_lossy(left);
        // actix-web ignores what it can't parse, such as `id=%A0`.
        let is_named = |pair: &&str| Cookie::parse_encoded(*pair).is_ok_and(|cookie| cookie.name() == "id");
        let named: Vec<&str> = left.split("; ").filter(is_named).collect();
        let expected: Vec<String> = chosen.iter().map(|(value, _)| format!("id={value}")).collect();
        prop_assert_eq!(named, expected, "{}", left);
    }
}
