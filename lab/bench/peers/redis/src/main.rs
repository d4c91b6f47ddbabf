//! The visit counter from actix-session's examples, with its sessions in Redis. It has the default settings,
//! except that its cookie isn't `Secure`.

use std::env;

use actix_session::{Session, SessionMiddleware, storage::RedisSessionStore};
use actix_web::{App, Error, HttpResponse, HttpServer, cookie::Key, http::header::ContentType, web};

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let store = RedisSessionStore::new(env::var("REDIS_URL")?).await?;
    let key = Key::generate();
    HttpServer::new(move || {
        let sessions = SessionMiddleware::builder(store.clone(), key.clone()).cookie_secure(false).build();
        App::new().wrap(sessions).route("/", web::get().to(visit))
    })
    .bind(env::var("BIND_ADDRESS")?)?
    .run()
    .await?;
    Ok(())
}

async fn visit(session: Session) -> Result<HttpResponse, Error> {
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(HttpResponse::Ok().content_type(ContentType::html()).body(format!(
        "<!doctype html><title>Visits</title><p>You have been here <b id=\"visits\">{visits}</b> times."
    )))
}
