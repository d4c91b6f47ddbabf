use reqwest::Method;

use crate::support::{Page, TestApp, log};

#[actix_web::test]
async fn an_unknown_path_is_a_page_with_the_request_id() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/nothing/here")).await;

    assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"));
    let id = page.request_id();
    assert!(!log::lines_with(id).is_empty(), "{id} is in the log");
}

#[actix_web::test]
async fn a_wrong_method_is_a_page_that_names_the_right_ones() {
    let app = TestApp::spawn().await;

    for (method, path, allowed) in [
        (Method::POST, "/", "GET, HEAD"),
        (Method::DELETE, "/visits", "GET, HEAD"),
        (Method::PUT, "/logout", "GET, HEAD, POST"),
        (Method::POST, "/health/live", "GET, HEAD"),
        (Method::POST, "/static/app.css", "GET, HEAD"),
    ] {
        let page = Page::of(app.request(method.clone(), path)).await;

        let mut allow: Vec<&str> = page.header("allow").split(", ").collect();
        allow.sort_unstable();
        assert_eq!(page.status, 405, "{method} {path} {page:#?}");
        assert_eq!(allow.join(", "), allowed, "{method} {path}");
        assert!(page.body.contains("<html"), "{page:#?}");
    }
}

#[actix_web::test]
async fn head_works_wherever_get_does() {
    let app = TestApp::spawn().await;

    for path in
        ["/", "/visits", "/logout", "/static/app.css", "/static/favicon.svg", "/health/live", "/health/ready"]
    {
        let page = Page::of(app.request(Method::HEAD, path)).await;

        assert_eq!(page.status, 200, "{path} {page:#?}");
        assert!(page.body.is_empty() && page.header("content-length") != "0", "{path} {page:#?}");
    }
}

#[actix_web::test]
async fn a_failed_read_of_the_session_is_a_503_page_and_starts_no_session() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.new_session().await;
    app.database.execute("alter table sessions rename to elsewhere").await;

    let page = app.get_with("/", &cookie).await;

    assert_eq!((page.status.as_u16(), page.header("retry-after")), (503, "5"), "{page:#?}");
    assert!(page.body.contains("<html") && page.set_cookies().is_empty(), "{page:#?}");
    assert!(!page.body.contains("elsewhere") && !page.body.contains("relation"), "{page:#?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:#?}");
    assert_eq!(app.database.number("select visits from users").await, 1);
}

#[actix_web::test]
async fn a_failed_save_of_a_new_session_is_a_503_page_without_a_cookie() {
    let app = TestApp::spawn().await;
    app.database.execute("alter table sessions rename to elsewhere").await;

    let page = Page::of(app.request(Method::GET, "/")).await;

    assert_eq!(page.status, 503, "{page:#?}");
    assert!(page.body.contains("<html") && page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(app.database.number("select count(*) from users").await, 0, "the visit is not half done");
}
