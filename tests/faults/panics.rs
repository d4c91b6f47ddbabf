//! A bug in a page is that request's misfortune alone.

use actix_postgres_sessions::{
    middleware::{error_pages::error_pages, security_headers::security_headers},
    telemetry,
};
use actix_web::{App, HttpResponse, HttpServer, middleware::from_fn, rt, web};

use crate::{client, support::log};

#[actix_web::test]
async fn a_panic_in_a_handler_is_a_500_page_and_logged_and_the_worker_lives() {
    log::capture();
    telemetry::log_panics();
    let server = HttpServer::new(|| {
        App::new()
            .route("/panic", web::get().to(|| async { panic!("a bug in a handler") as HttpResponse }))
            .route("/late", web::get().to(late))
            .route("/fine", web::get().to(HttpResponse::NoContent))
            .wrap(from_fn(error_pages))
            .wrap(from_fn(security_headers))
            .wrap(telemetry::request_log())
    });
    // One worker: who comes after the panic meets the same.
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a free port");
    let address = server.addrs()[0];
    rt::spawn(server.run());

    let answers = rt::task::spawn_blocking(move || {
        let mut visitor = client::Visitor::new(address);
        ["/panic", "/late", "/fine"].map(|path| visitor.get(path))
    });
    let [panic, late, fine] = answers.await.expect("answers");

    for answer in [panic, late] {
        assert_eq!(answer.status, 500, "{answer:#?}");
        assert!(!answer.body.contains("a bug"), "{answer:#?}");
        answer.assert_is_page();
        let (_, id) = answer.body.split_once(r#"<code class="all">"#).expect("a request id");
        let lines = log::lines_with(&id[..36]);
        assert!(lines.iter().any(|line| line.contains("a bug in a handler")), "{lines:#?}");
    }
    assert_eq!(fine.status, 204, "{fine:#?}");
}

async fn late() -> HttpResponse {
    rt::task::yield_now().await;
    panic!("a bug in a handler, after it has waited")
}
