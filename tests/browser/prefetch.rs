//! Tests pages that the browser prefetches.

use actix_web::{HttpResponse, web};
use app::Pages;

use crate::{
    Browser, TestApp,
    support::{TestDatabase, eventually, log},
};

/// A page that makes the browser prefetch or prerender the welcome page, depending on the page's path.
fn routes(config: &mut web::ServiceConfig, _: &Pages) {
    config
        .route("/ahead/{kind}", web::get().to(async |kind: web::Path<String>| {
            HttpResponse::Ok()
                .insert_header(("speculation-rules", format!("\"/rules/{kind}\"")))
                .content_type("text/html; charset=utf-8")
                .body("<!doctype html><title>Ahead</title><link rel=icon href=/static/favicon.svg><a href=/>Welcome</a>")
        }))
        .route("/rules/{kind}", web::get().to(async |kind: web::Path<String>| {
            HttpResponse::Ok()
                .content_type("application/speculationrules+json")
                .body(format!(r#"{{"{kind}":[{{"urls":["/"],"eagerness":"immediate"}}]}}"#))
        }));
}

#[actix_web::test]
async fn a_click_after_a_refused_prefetch_counts_and_shows_the_visit() {
    let app = TestApp::with_routes(TestDatabase::new().await, &[], routes).await;
    let browser = Browser::open(&app.url).await;
    let mut refused = 0;

    for (kind, visits) in [("prefetch", 1), ("prerender", 2), ("prefetch", 3), ("prerender", 4)] {
        browser.go(&format!("/ahead/{kind}")).await;
        eventually("the browser prefetches the page", async || {
            log::lines_with("a prefetch of a page").len() > refused
        })
        .await;
        refused = log::lines_with("a prefetch of a page").len();
        browser.follow("a").await;

        assert_eq!(browser.visits().await, visits, "{kind}");
    }
}
