//! Serves the same three pages with each kind of session:
//!
//! `cargo run --example stores -- memory|redis|cookie|postgres`
//!
//! [`docs/stores.md`](../../docs/stores.md) compares them. `cargo dev lab stores` tests this example.

mod kind;
mod pages;

use std::{env, net::TcpListener, path::Path, process::ExitCode};

use actix_session::storage::{CookieSessionStore, RedisSessionStore};
use actix_session_postgres::PgSessionStore;
use anyhow::{Context, Result};
use app::{database::MIGRATIONS, secret::SecretKeys};
use dev::Postgres;
use kind::Kind;
use session_store_suite::MemorySessionStore;
use sqlx::PgPool;

#[actix_web::main]
async fn main() -> ExitCode {
    if let Err(error) = run().await {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run() -> Result<()> {
    let kind = env::args().nth(1).and_then(|name| name.parse().ok());
    let kind: Kind = kind.context("usage: cargo run --example stores -- memory|redis|cookie|postgres")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let secret = SecretKeys::from_file(&folder.join(".session-secret")).map_err(anyhow::Error::msg)?;
    let secret = secret.current().clone();
    let address = env::var("BIND_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).with_context(|| {
        format!("can't listen on {address}: choose another, such as BIND_ADDRESS=127.0.0.1:8081")
    })?;
    println!("http://{}/ keeps its sessions in: {} (Ctrl-C stops it)", listener.local_addr()?, kind.name());
    match kind {
        Kind::Memory => {
            let store = MemorySessionStore::default();
            pages::serve(listener, kind, secret, move || store.clone())?.await?;
        }
        Kind::Cookie => pages::serve(listener, kind, secret, CookieSessionStore::default)?.await?,
        Kind::Redis => {
            let url = env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
            let url = url.context("start Redis and set REDIS_URL, for example to redis://127.0.0.1:6379")?;
            let store = RedisSessionStore::new(url).await?;
            pages::serve(listener, kind, secret, move || store.clone())?.await?;
        }
        Kind::Postgres => {
            let (_server, url) = match env::var("DATABASE_URL") {
                Ok(url) if !url.is_empty() => (None, url),
                _ => {
                    let server = Postgres::start(&folder.join(".postgres"), &[])?;
                    let url = server.url("postgres");
                    (Some(server), url)
                }
            };
            let pool = PgPool::connect(&url).await?;
            MIGRATIONS.run(&pool).await?;
            pages::serve(listener, kind, secret, move || PgSessionStore::new(pool.clone()))?.await?;
        }
    }
    Ok(())
}
