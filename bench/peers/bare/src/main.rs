//! Two handlers without any middleware: an empty answer's cost, and a stylesheet's.

use std::{env, fs};

use actix_web::{App, HttpResponse, HttpServer, http::header::ContentType, web};

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let stylesheet = web::Bytes::from(fs::read(env::var("STYLESHEET")?)?);
    HttpServer::new(move || {
        let stylesheet = stylesheet.clone();
        let css = move || {
            let body = stylesheet.clone();
            async move { HttpResponse::Ok().insert_header(("content-type", "text/css")).body(body) }
        };
        App::new().route("/health/live", web::get().to(live)).route("/static/app.css", web::get().to(css))
    })
    .bind(env::var("BIND_ADDRESS")?)?
    .run()
    .await?;
    Ok(())
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("live\n")
}
