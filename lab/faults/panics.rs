//! Tests that a panic fails one request and nothing else.

use std::panic;

use actix_web::{HttpResponse, HttpServer, rt, web};
use app::{Dependencies, database, log::log_panics};

use crate::support::{TestApp, log};
use crate::{client::Visitor, stage::TURN};

#[actix_web::test]
async fn a_panic_in_a_handler_is_logged_and_returns_a_500_page_and_the_worker_survives() {
    let _turn = TURN.lock().await;
    let config = TestApp::config(&[]);
    log_and_print_panics();
    let dependencies = Dependencies::new(config.clone(), database::pool(&config));
    let server = HttpServer::new(move || {
        app::build(&dependencies, &|routes, _| {
            routes
                .route("/panic", web::get().to(|| async { panic!("a bug in a handler") as HttpResponse }))
                .route("/late", web::get().to(late))
                .route("/fine", web::get().to(HttpResponse::NoContent));
        })
    });
    // One worker, so that the next request reaches the worker that has panicked.
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a free port");
    let address = server.addrs()[0];
    rt::spawn(server.run());

    let answers = rt::task::spawn_blocking(move || {
        let mut visitor = Visitor::new(address);
        ["/panic", "/late", "/fine"].map(|path| visitor.get(path))
    });
    let [panic, late, fine] = answers.await.expect("responses");

    for answer in [panic, late] {
        assert_eq!(answer.status, 500, "{answer:#?}");
        assert!(!answer.body.contains("a bug"), "{answer:#?}");
        answer.assert_is_error_page();
        let lines = log::lines_with(answer.request_id());
        assert!(lines.iter().any(|line| line.contains("a bug in a handler")), "{lines:#?}");
    }
    assert_eq!(fine.status, 204, "{fine:#?}");
}

async fn late() -> HttpResponse {
    rt::task::yield_now().await;
    panic!("a bug in a handler, after a wait")
}

/// Logs panics as the program does. Also prints them, because otherwise a failing test would show nothing.
fn log_and_print_panics() {
    let print = panic::take_hook();
    log_panics();
    let log = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        print(panic);
    }));
}
