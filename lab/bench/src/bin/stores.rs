//! The app's welcome page behind all of its layers, with the sessions in a different store: `STORE` is
//! `redis`, `memory` or `cookie`. The count is still in PostgreSQL.

use std::{env, future::pending, sync::atomic::Ordering};

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_web::{middleware::from_fn, web::ServiceConfig};
use app::{
    Config, Dependencies, Pages, database, get, http::page::page, limits::PAGE_DEADLINE, log, pages::welcome,
    server, session,
};
use session_store_suite::MemorySessionStore;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    match env::var("STORE")?.as_str() {
        "redis" => {
            let store = RedisSessionStore::new(env::var("REDIS_URL")?).await?;
            serve(move || store.clone()).await
        }
        "memory" => {
            let store = MemorySessionStore::default();
            serve(move || store.clone()).await
        }
        _ => serve(CookieSessionStore::default).await,
    }
}

async fn serve<S: SessionStore + 'static>(
    store: impl Fn() -> S + Clone + Send + 'static,
) -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _log = log::init(&config);
    database::migrate(&config).await?;
    let dependencies = Dependencies::new(config.clone(), database::pool(&config));
    dependencies.readiness.migrated.store(true, Ordering::Relaxed);
    let routes = move |services: &mut ServiceConfig, _: &Pages| {
        let page = from_fn(|request, next| page(PAGE_DEADLINE, request, next));
        services.service(get("/", welcome::get).wrap(session::middleware(&config, store())).wrap(page));
    };
    Ok(server::start(&dependencies, routes, pending())?.0.await?)
}
