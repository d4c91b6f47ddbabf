//! The message that a page shows once, here the one after a logout.

use reqwest::Method;

use crate::support::{Page, TestApp};

#[actix_web::test]
async fn after_a_logout_the_message_appears_exactly_once_on_a_page_that_a_person_sees() {
    let (_app, browser) = TestApp::spawn_with_session().await;
    browser.post("/logout", &[]).await;

    for (method, name, value) in [
        (Method::HEAD, "x-none", ""),
        (Method::GET, "sec-purpose", "prefetch"),
        (Method::GET, "sec-purpose", "prefetch;prerender"),
        (Method::GET, "purpose", "prefetch"),
    ] {
        let page = Page::of(browser.request(method.clone(), "/logout?confirm").header(name, value)).await;

        assert_eq!(page.status, 200, "{method} {name} {page:#?}");
        assert_eq!(page.try_element("flash"), None, "{method} {name} {page:#?}");
        assert!(page.set_cookies().is_empty(), "{method} {name} {page:#?}");
    }
    let after = browser.get("/").await;
    let later = browser.get("/").await;

    assert_eq!(after.element("flash"), "You are logged out.", "{after:#?}");
    assert_eq!(later.try_element("flash"), None, "{later:#?}");
    // curl 7.88 ignores a removal if another cookie follows, and would show the message again.
    let set = after.set_cookies();
    let flash = set.iter().find(|set| set.starts_with("flash=;")).unwrap_or_else(|| panic!("{after:#?}"));
    assert!(flash.contains("Max-Age=1") && flash.contains("HttpOnly") && flash.contains("Path=/"), "{flash}");
}

#[actix_web::test]
async fn a_planted_message_cookie_can_not_put_words_on_a_page() {
    let app = TestApp::spawn().await;

    for value in ["", "Send%20me%20your%20password", "Send-me-your-password", "logged-out2", "%6Cogged"] {
        let page = app.get_with("/", &format!("flash={value}")).await;

        assert_eq!(page.try_element("flash"), None, "{value} {page:#?}");
        assert!(!page.body.contains("password"), "{value} {page:#?}");
    }
}

#[actix_web::test]
async fn over_https_the_message_cookie_is_bound_to_its_host() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let session = app.get("/probe/start").await.cookie("__Host-id").expect("a cookie");

    let page = app.get_with("/logout", &session).await;

    let cookies = page.set_cookies();
    let set =
        cookies.iter().find(|set| set.starts_with("__Host-flash=")).unwrap_or_else(|| panic!("{page:#?}"));
    assert!(set.contains("Secure") && set.contains("HttpOnly") && set.contains("Path=/"), "{set}");
    let shown = app.get_with("/", "__Host-flash=logged-out").await;
    let ignored = app.get_with("/", "flash=logged-out").await;
    assert!(shown.try_element("flash").is_some() && ignored.try_element("flash").is_none(), "{shown:#?}");
}

#[actix_web::test]
async fn a_visitor_without_a_session_can_log_out_and_sees_no_message() {
    let app = TestApp::spawn().await;
    let browser = app.browser();

    let page = browser.post("/logout", &[]).await;
    let after = browser.get("/").await;

    assert_eq!(page.status, 303, "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(after.try_element("flash"), None, "{after:#?}");
}
