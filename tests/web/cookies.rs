//! Session cookies from browsers and attackers, and other cookies in the same requests.

use std::collections::HashSet;

use actix_web::cookie::Cookie;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use app::session::{put_first, valid_in};
use proptest::prelude::*;
use reqwest::Method;
use uuid::Uuid;

use crate::secrets::NEW;
use crate::support::{Page, SECRET, TestApp, decrypt, encrypt, log};

/// Sends a GET request with a `Cookie` header that may not be text.
async fn get_bytes(app: &TestApp, path: &str, cookie: &[u8]) -> Page {
    Page::of(app.request(Method::GET, path).header("cookie", cookie)).await
}

#[actix_web::test]
async fn the_cookie_is_secure_bound_to_its_host_and_reveals_neither_the_key_nor_the_user() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;

    let page = app.get("/probe/start").await;

    let [cookie] = page.set_cookies()[..] else { panic!("{page:#?}") };
    let mut parts: Vec<&str> = cookie.split("; ").skip(1).collect();
    parts.sort_unstable();
    assert!(cookie.starts_with("__Host-id="), "{cookie}");
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
    let key = decrypt(SECRET, &page.cookie("__Host-id").expect("a cookie")).expect("a cookie of this app");
    assert!(!cookie.contains(page.visitor()) && !cookie.contains(&key) && cookie.len() > 100, "{cookie}");
}

#[actix_web::test]
async fn the_first_valid_cookie_with_a_live_session_is_used() {
    let app = TestApp::spawn().await;
    let ((_, dead), (_, gone)) = (app.start().await, app.start().await);
    app.get_with("/logout", &dead).await;
    app.get_with("/logout", &gone).await;
    let ((user, live), (_, other)) = (app.start().await, app.start().await);

    for header in [
        format!("{dead}; {live}"),
        format!("{live}; {dead}"),
        format!("{dead}; id=junk; theme=dark; {gone}; {live}; {other}"),
        format!("{live}; {live}; {other}"),
        format!("id=junk; {live}; id=more"),
    ] {
        let page = app.get_with("/probe/write", &header).await;

        assert_eq!((page.visitor(), page.set_cookies().len()), (&*user, 0), "{header} {page:#?}");
    }
    let ended = app.get_with("/probe", &format!("{dead}; {gone}")).await;
    assert_eq!((ended.status.as_u16(), ended.visitor()), (200, ""), "{ended:#?}");
    let lines = app.request(Method::GET, "/logout").header("cookie", &dead).header("cookie", &live);
    assert_eq!(Page::of(lines).await.status, 303);
    assert_eq!(app.get_with("/probe", &live).await.visitor(), "", "the live session was logged out");
}

#[actix_web::test]
async fn other_cookies_cannot_break_the_session_and_all_reach_the_page() {
    let app = TestApp::spawn().await;
    let (user, cookie) = app.start().await;

    let others: [&[u8]; 9] = [
        b"theme=\xff\xfe",
        b"\xff=\xff",
        "sprache=größer; 名前=値".as_bytes(),
        b"nameless",
        b"=empty",
        b"x=%FF%00",
        b";;; ;",
        b"a=\"quo;ted\"",
        b"tab=\t",
    ];
    for other in others {
        let before = [other, b"; ", cookie.as_bytes()].concat();
        let after = [cookie.as_bytes(), b"; ", other].concat();
        for header in [before, after] {
            let page = get_bytes(&app, "/probe", &header).await;

            let shown = String::from_utf8_lossy(&header);
            assert_eq!((page.status.as_u16(), page.visitor()), (200, &*user), "{shown} {page:#?}");
        }
    }
    for header in [
        format!("x=\u{e9}; {cookie}; flash=logged-out"),
        format!("flash=logged-out; id=junk; {cookie}"),
        "flash=logged-out; id=junk".to_owned(),
    ] {
        let page = get_bytes(&app, "/", header.as_bytes()).await;

        assert_eq!(page.cookie("flash").as_deref(), Some("flash="), "{header} {page:#?}");
    }
}

#[actix_web::test]
async fn a_name_that_matches_only_when_decoded_or_trimmed_is_not_the_session_cookie() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let (attacker, victim) = (app.get("/probe/start").await, app.get("/probe/start").await);
    let planted = attacker.cookie("__Host-id").expect("a cookie").replacen('H', "%48", 1);
    let own = victim.cookie("__Host-id").expect("a cookie");

    for alone in [planted.clone(), format!("\u{2003}{own}"), own.replacen('=', " =", 1)] {
        assert_eq!(get_bytes(&app, "/probe", alone.as_bytes()).await.visitor(), "", "{alone}");
    }
    let both = app.get_with("/probe", &format!("{planted}; {own}")).await;

    assert!(planted.starts_with("__%48ost-id="), "{planted}");
    assert_eq!(both.visitor(), victim.visitor(), "{both:#?}");
}

#[actix_web::test]
async fn an_invalid_cookie_starts_a_new_session_and_logs_at_most_one_line() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.start().await;
    let (_, good) = cookie.split_once('=').expect("name=value");
    let mut invalid: Vec<String> = (0..good.len()).step_by(7).map(|at| changed_at(good, at)).collect();
    invalid.extend((0..good.len()).step_by(9).map(|end| good[..end].to_owned()));
    invalid.extend([
        format!("{good}A"),
        "A".repeat(6000),
        "%00%0d%0aSet-Cookie:%20id=x".to_owned(),
        "%zz%".to_owned(),
        "\"\"".to_owned(),
        "' or 1=1 --".to_owned(),
        "{\"visitor_id\":1}".to_owned(),
    ]);
    // The secret is enough to make these, but no session has these keys.
    for key in
        ["A".repeat(64), String::new(), "a\r\nb".into(), "é".repeat(32), "A".repeat(3000), "\0".repeat(64)]
    {
        invalid.push(encrypt(SECRET, "id", &key).trim_start_matches("id=").to_owned());
    }
    let key = decrypt(SECRET, &cookie).expect("a cookie of this app");
    invalid.push(encrypt(NEW, "id", &key).trim_start_matches("id=").to_owned());

    for value in invalid {
        let path = format!("/probe/start-{}", Uuid::new_v4());
        let page = app.get_with(&path, &format!("id={value}")).await;

        assert_eq!((page.status.as_u16(), page.visitor().len()), (200, 36), "{value} {page:#?}");
        assert_ne!(page.visitor(), first, "{value}");
        assert_eq!(page.set_cookies().len(), 1, "{value} {page:#?}");
        let lines = log::lines_of_request_with(&path);
        let others: Vec<_> = lines.iter().filter(|line| line["level"] != "INFO").collect();
        assert!(
            others.len() <= 1 && others.iter().all(|line| line["level"] != "ERROR"),
            "{value} {others:#?}"
        );
    }
    assert!(!log::lines_with("The session cookie attached to the incoming request failed").is_empty());
}

fn changed_at(value: &str, at: usize) -> String {
    let mut bytes = value.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}

#[actix_web::test]
async fn at_most_four_valid_cookies_are_looked_up() {
    let app = TestApp::spawn().await;
    let (user, live) = app.start().await;
    let dead: Vec<String> = (0..4).map(|n| encrypt(SECRET, "id", &n.to_string().repeat(64))).collect();

    let fifth = app.get_with("/probe", &format!("{}; {live}", dead.join("; "))).await;
    let after_copies = app.get_with("/probe", &format!("{}; {live}", [&*dead[0]; 4].join("; "))).await;

    assert_eq!((fifth.status.as_u16(), fifth.visitor()), (200, ""), "{fifth:#?}");
    assert_eq!(after_copies.visitor(), user, "copies of a cookie count once: {after_copies:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn all_valid_cookies_are_found_among_others_and_only_the_chosen_one_is_left(
        mut lines in proptest::collection::vec("[ -~\u{80}-\u{ff}]{0,30}|id=[!-:<-~]{0,9}", 0..6),
        keys in proptest::collection::hash_set("[a-z]{1,8}", 0..4),
        at in any::<proptest::sample::Index>(),
    ) {
        keys.iter().for_each(|key| lines.insert(at.index(lines.len() + 1), encrypt(SECRET, "id", key)));
        let values = lines.iter().map(|line| HeaderValue::from_bytes(line.as_bytes()).expect("a header value"));
        let mut headers: HeaderMap = values.map(|value| (COOKIE, value)).collect();

        let (valid, others) = valid_in(&TestApp::config(&[]), &headers);
        put_first(valid.last(), &others, &mut headers);

        prop_assert_eq!(valid.iter().map(|cookie| cookie.key.clone()).collect::<HashSet<_>>(), keys);
        let left = headers.get(COOKIE).map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
        // actix-web ignores what it can't parse, such as `id=%A0`.
        let is_named = |pair: &&str| Cookie::parse_encoded(*pair).is_ok_and(|cookie| cookie.name() == "id");
        let named = left.iter().flat_map(|left| left.split("; ")).filter(is_named);
        let keys: Vec<_> = named.map(|pair| decrypt(SECRET, pair)).collect();
        let chosen = valid.last().map(|cookie| cookie.key.clone());
        prop_assert_eq!(keys.first().cloned().flatten(), chosen, "{:?}", left);
        prop_assert!(keys.iter().skip(1).all(Option::is_none), "{:?}", left);
    }
}
