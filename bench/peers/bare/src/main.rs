//! A visit counter without sessions: Actix alone, with the count in a plain cookie. Nothing that stores sessions can be
//! faster, so it shows what the load and the HTTP server cost.

use std::env;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, cookie::Cookie, http::header::ContentType, web};

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    HttpServer::new(|| App::new().route("/", web::get().to(visit)))
        .bind(env::var("BIND_ADDRESS")?)?
        .run()
        .await?;
    Ok(())
}

async fn visit(request: HttpRequest) -> HttpResponse {
    let cookie = request.cookie("visits").and_then(|cookie| cookie.value().parse::<u64>().ok());
    let visits = cookie.unwrap_or(0) + 1;
    HttpResponse::Ok()
        .cookie(Cookie::new("visits", visits.to_string()))
        .content_type(ContentType::html())
        .body(format!(
            "<!doctype html><title>Visits</title><p>You have been here <b id=\"visits\">{visits}</b> times."
        ))
}
