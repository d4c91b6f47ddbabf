//! What browsers and attackers send as the session cookie, and next to it.

use reqwest::{Method, header::HeaderValue};
use uuid::Uuid;

use crate::{
    secrets::{NEW, USUAL, decrypt, encrypt},
    support::{Page, TestApp, log},
};

/// GET with a `Cookie` header that need not be text.
async fn get_bytes(app: &TestApp, path: &str, cookie: &[u8]) -> Page {
    let cookie = HeaderValue::from_bytes(cookie).expect("a header value");
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
    let key = decrypt(USUAL, &page.cookie("__Host-id").expect("a cookie")).expect("a cookie of this app");
    assert!(!cookie.contains(page.visitor()) && !cookie.contains(&key) && cookie.len() > 100, "{cookie}");
}

#[actix_web::test]
async fn the_first_valid_session_cookie_whose_session_is_live_counts() {
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
async fn no_other_cookie_can_disturb_the_session_cookie_and_all_others_reach_the_page() {
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
async fn a_name_that_matches_only_when_decoded_is_not_the_session_cookie() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let (attacker, victim) = (app.get("/probe/start").await, app.get("/probe/start").await);
    let planted = attacker.cookie("__Host-id").expect("a cookie").replacen('H', "%48", 1);
    let own = victim.cookie("__Host-id").expect("a cookie");

    let alone = app.get_with("/probe", &planted).await;
    let both = app.get_with("/probe", &format!("{planted}; {own}")).await;

    assert!(planted.starts_with("__%48ost-id="), "{planted}");
    assert_eq!(alone.visitor(), "", "{alone:#?}");
    assert_eq!(both.visitor(), victim.visitor(), "{both:#?}");
}

#[actix_web::test]
async fn an_invalid_cookie_starts_a_new_session_and_costs_at_most_one_line() {
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
    // With the secret, anyone can make these, but they belong to no session.
    for key in
        ["A".repeat(64), String::new(), "a\r\nb".into(), "é".repeat(32), "A".repeat(3000), "\0".repeat(64)]
    {
        invalid.push(encrypt(USUAL, "id", &key).trim_start_matches("id=").to_owned());
    }
    let key = decrypt(USUAL, &cookie).expect("a cookie of this app");
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
    assert!(!log::lines_with("a session cookie that no secret decrypts").is_empty());
}

fn changed_at(value: &str, at: usize) -> String {
    let mut bytes = value.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}
