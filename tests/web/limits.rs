//! How many sessions one client may start.

use reqwest::Method;

use crate::support::{Page, TestApp, log};

const ROWS: &str = "select (select count(*) from sessions) + (select count(*) from visitors)";

async fn first_visit_from(app: &TestApp, address: &str) -> Page {
    app.send(Method::GET, "/", &[("x-forwarded-for", address)]).await
}

#[actix_web::test]
async fn one_session_too_many_returns_a_429_page_that_says_when_to_try_again() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "3")]).await;
    for _ in 0..3 {
        assert_eq!(app.get("/").await.status, 200);
    }

    let page = app.get("/").await;

    assert_eq!(page.status, 429, "{page:#?}");
    let seconds: u64 = page.header("retry-after").parse().expect("seconds");
    assert!((1..=21).contains(&seconds), "{seconds}");
    assert!(page.body.contains("<html") && page.set_cookies().is_empty(), "{page:#?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:#?}");
    assert_eq!(app.database.number(ROWS).await, 3, "the refused visit wrote nothing");
    let refused = log::lines_of(page.request_id());
    assert!(
        refused.iter().any(|line| line["client"] == "127.0.0.1" && line["level"] == "WARN"),
        "{refused:#?}"
    );
}

#[actix_web::test]
async fn only_requests_that_start_a_session_count_toward_the_limit() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;
    let browser = app.browser();

    for _ in 0..5 {
        for path in ["/probe", "/nothing", "/static/app.css"] {
            app.get(path).await;
        }
        app.send(Method::HEAD, "/", &[]).await;
        app.send(Method::GET, "/", &[("sec-purpose", "prefetch")]).await;
    }
    for visit in 1..=20 {
        assert_eq!(browser.get("/").await.visits(), visit);
    }
    assert_eq!(app.get("/").await.status, 429);
    // Without a trusted proxy, the app ignores the address that a client claims.
    assert_eq!(first_visit_from(&app, "203.0.113.2").await.status, 429);
}

#[actix_web::test]
async fn every_ipv4_address_and_every_ipv6_network_of_64_bits_has_its_own_limit() {
    let settings = [("NEW_SESSIONS_PER_MINUTE", "1"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::spawn_with(&settings).await;
    let mut allowed = 0;
    for n in 0..25 {
        for other in [format!("203.0.113.{n}"), format!("2001:db8:1:{n:x}::1")] {
            allowed += usize::from(first_visit_from(&app, &other).await.status == 200);
        }
    }

    // Not all 50: two networks may share an entry by chance.
    assert!(allowed > 45, "{allowed}");
    for same in [
        "203.0.113.9",
        "::ffff:203.0.113.9",
        // The proxy appended only the last one.
        "198.51.100.9, 203.0.113.9",
        "2001:db8:1:1::1",
        "2001:db8:1:1::2",
        "2001:db8:1:1:ffff:ffff:ffff:ffff",
    ] {
        let page = first_visit_from(&app, same).await;

        assert_eq!(page.status, 429, "{same} {page:#?}");
        let seconds: u64 = page.header("retry-after").parse().expect("seconds");
        assert!((50..=61).contains(&seconds), "{seconds}");
    }
}

#[actix_web::test]
async fn zero_disables_the_limit() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "0")]).await;

    for _ in 0..50 {
        assert_eq!(app.get("/").await.status, 200);
    }
}
