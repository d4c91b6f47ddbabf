//! What arrives under the session cookie's name, and beside it.

use actix_postgres_sessions::{config::SecretKeys, middleware::session_cookie::SessionCookie};
use actix_web::{
    cookie::{Cookie, CookieJar},
    http::header::{self, HeaderMap},
};
use reqwest::{Method, header::HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{LoginApp, Page, TestApp, log};

const NEW: &str = "the newer of the two secrets of these tests";
const OLD: &str = "the older of the two secrets of these tests";
const RING: &str = "the newer of the two secrets of these tests,the older of the two secrets of these tests";

/// A cookie as the application would make it under `secret`: `name=value`.
fn seal(secret: &str, name: &str, key: &str) -> String {
    let keys: SecretKeys = secret.parse().expect("a secret");
    let mut jar = CookieJar::new();
    jar.private_mut(keys.current()).add(Cookie::new(name.to_owned(), key.to_owned()));
    jar.get(name).expect("it was just added").encoded().to_string()
}

/// The key in a cookie, if `secret` opens it.
pub fn open(secret: &str, cookie: &str) -> Option<String> {
    let keys: SecretKeys = secret.parse().expect("a secret");
    let cookie = Cookie::parse_encoded(cookie.to_owned()).expect("a cookie");
    let name = cookie.name().to_owned();
    let mut jar = CookieJar::new();
    jar.add_original(cookie);
    jar.private(keys.current()).get(&name).map(|cookie| cookie.value().to_owned())
}

fn value(cookie: &str) -> &str {
    cookie.split_once('=').expect("name=value").1
}

async fn get_bytes(app: &TestApp, cookie: &[u8]) -> Page {
    let cookie = HeaderValue::from_bytes(cookie).expect("a header value");
    Page::of(app.request(Method::GET, "/").header("cookie", cookie)).await
}

#[actix_web::test]
async fn of_two_cookies_of_our_name_the_one_that_opens_is_the_session() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;

    let one_line = app.get_with("/", &format!("id=junk; {cookie}; id=more")).await;
    let two_lines = app.request(Method::GET, "/").header("cookie", "id=junk").header("cookie", &cookie);
    let two_lines = Page::of(two_lines).await;

    assert_eq!((one_line.user(), two_lines.user()), (first.user(), first.user()));
    assert!(one_line.set_cookies().is_empty(), "{one_line:#?}");
}

#[test]
fn no_second_cookie_of_our_name_stays_in_the_request() {
    let ours = SessionCookie::new(false, NEW.parse().expect("a secret"));
    let cookie = seal(NEW, "id", &"k".repeat(64));
    for lines in [&[&*format!("{cookie}; id=junk")][..], &[&cookie, "id=junk"]] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().expect("a header value"));
        }

        assert!(ours.sort_out(&mut headers).is_some(), "{lines:?}");
        assert_eq!(headers.get_all(header::COOKIE).collect::<Vec<_>>(), [&*cookie], "{lines:?}");
    }
}

#[actix_web::test]
async fn no_neighbour_takes_the_session_away() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;

    let neighbours: [&[u8]; 9] = [
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
    for neighbour in neighbours {
        let before = [neighbour, b"; ", cookie.as_bytes()].concat();
        let after = [cookie.as_bytes(), b"; ", neighbour].concat();
        for header in [before, after] {
            let page = get_bytes(&app, &header).await;

            let shown = String::from_utf8_lossy(&header);
            assert_eq!((page.status.as_u16(), page.user()), (200, first.user()), "{shown} {page:#?}");
        }
    }
}

#[actix_web::test]
async fn the_neighbours_of_the_session_still_arrive() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.new_session().await;

    let page = get_bytes(&app, format!("x=\u{e9}; {cookie}; notice=logged-out").as_bytes()).await;

    assert!(page.body.contains("old session is gone"), "the notice's cookie was read: {page:#?}");
}

#[actix_web::test]
async fn a_name_that_is_ours_only_when_decoded_is_not_ours() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let attacker = Page::of(app.request(Method::GET, "/")).await;
    let victim = Page::of(app.request(Method::GET, "/")).await;
    let planted = attacker.cookie("__Host-id").expect("a cookie").replacen('H', "%48", 1);
    let own = victim.cookie("__Host-id").expect("a cookie");

    let alone = app.get_with("/visits", &planted).await;
    let both = app.get_with("/visits", &format!("{planted}; {own}")).await;

    assert!(planted.starts_with("__%48ost-id="), "{planted}");
    assert_eq!(alone.try_element("user"), None, "{alone:#?}");
    assert_eq!(both.user(), victim.user());
}

#[actix_web::test]
async fn a_cookie_that_is_not_ours_is_a_strangers_and_costs_one_line_of_debug() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;
    let secret = "a secret of the tests and of nothing else";
    let good = value(&cookie);
    let mut hostile: Vec<String> = (0..good.len()).step_by(7).map(|at| flip(good, at)).collect();
    hostile.extend((0..good.len()).step_by(9).map(|end| good[..end].to_owned()));
    hostile.extend([
        format!("{good}A"),
        "A".repeat(6000),
        "%00%0d%0aSet-Cookie:%20id=x".to_owned(),
        "%zz%".to_owned(),
        "\"\"".to_owned(),
        "' or 1=1 --".to_owned(),
        "{\"user_id\":1}".to_owned(),
    ]);
    // Whoever had the secret could make these; still they open nothing.
    for key in
        ["A".repeat(64), String::new(), "a\r\nb".into(), "é".repeat(32), "A".repeat(3000), "\0".repeat(64)]
    {
        hostile.push(value(&seal(secret, "id", &key)).to_owned());
    }
    hostile.push(value(&seal(NEW, "id", &"A".repeat(64))).to_owned());

    for value in hostile {
        let page = app.get_with("/", &format!("id={value}")).await;

        assert_eq!((page.status.as_u16(), page.visits()), (200, 1), "{value} {page:#?}");
        assert_ne!(page.user(), first.user(), "{value}");
        assert_eq!(page.set_cookies().len(), 1, "{value} {page:#?}");
        let beside = log::lines_of_visit(page.user()).into_iter().filter(|line| line["level"] != "INFO");
        assert!(beside.clone().count() <= 1, "{value} {:#?}", beside.collect::<Vec<_>>());
    }
}

#[actix_web::test]
async fn control_characters_never_get_as_far_as_an_error_of_ours() {
    let app = TestApp::spawn().await;
    let address = app.url.trim_start_matches("http://").to_owned();

    for byte in (0..32_u8).chain([127]).filter(|byte| !b"\r\n".contains(byte)) {
        let mut stream = TcpStream::connect(&address).await.expect("connect");
        let head =
            [b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: id=", &[byte][..], b"\r\n\r\n"];
        stream.write_all(&head.concat()).await.expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");

        let status = answer.get(9..12).unwrap_or_default();
        assert!(["200", "400"].contains(&status), "{byte:#04x}: {answer}");
    }
}

#[actix_web::test]
async fn a_cookie_of_an_old_secret_keeps_its_session_and_comes_back_under_the_new_one() {
    let app = TestApp::spawn_with(&[("SESSION_SECRET", RING)]).await;
    let (first, cookie) = app.new_session().await;
    let key = open(NEW, &cookie).expect("ours");

    let page = app.get_with("/", &seal(OLD, "id", &key)).await;
    let renewed = page.cookie("id").expect("a new cookie");
    let after = app.get_with("/", &renewed).await;

    assert_eq!((page.user(), after.user(), after.visits()), (first.user(), first.user(), 3));
    assert_eq!(open(NEW, &renewed), Some(key));
    assert_eq!(open(OLD, &renewed), None);
    let [set] = page.set_cookies()[..] else { panic!("{page:#?}") };
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    assert!(after.set_cookies().is_empty(), "once is enough: {after:#?}");
}

#[actix_web::test]
async fn a_cookie_of_no_secret_of_ours_is_a_strangers() {
    let app = TestApp::spawn_with(&[("SESSION_SECRET", NEW)]).await;
    let (first, cookie) = app.new_session().await;
    let key = open(NEW, &cookie).expect("ours");

    let page = app.get_with("/", &seal(OLD, "id", &key)).await;

    assert_eq!((page.status.as_u16(), page.visits()), (200, 1));
    assert_ne!(page.user(), first.user());
}

#[actix_web::test]
async fn a_cookie_of_an_old_secret_whose_session_has_ended_does_not_come_back() {
    let app = TestApp::spawn_with(&[("SESSION_SECRET", RING)]).await;
    let (_, cookie) = app.new_session().await;
    let old = seal(OLD, "id", &open(NEW, &cookie).expect("ours"));
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    let page = app.get_with("/visits", &old).await;

    assert!(page.set_cookies().is_empty(), "{page:#?}");
}

#[actix_web::test]
async fn a_key_that_was_rotated_away_does_not_come_back_under_the_new_secret() {
    let app = LoginApp::spawn_with(&[("SESSION_SECRET", RING)]).await;
    let (user, cookie) = app.start().await;
    let old = seal(OLD, "id", &open(NEW, &cookie).expect("ours"));

    let reading = app.hold("nothing", "read", &old).await;
    let rotating = app.hold("rotate", "rotate", &old).await;
    app.get("/rotate", &cookie).await;
    app.release("read").await;
    app.release("rotate").await;
    let (reading, rotating) = (reading.await.expect("an answer"), rotating.await.expect("an answer"));

    assert_eq!((&reading.body, &rotating.body), (&user, &user));
    assert!(
        reading.set_cookies().is_empty() && rotating.set_cookies().is_empty(),
        "{reading:#?} {rotating:#?}"
    );
}

fn flip(value: &str, at: usize) -> String {
    let mut bytes = value.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}
