//! The visit counter from tower-sessions' examples, with its sessions in PostgreSQL through tower-sessions-sqlx-store.
//! The pool has its default settings. If `TUNED` is set, the pool doesn't ping the database before each use.

use std::env;

use axum::{Router, http::StatusCode, response::Html, routing::get};
use tokio::net::TcpListener;
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::time::Duration};
use tower_sessions_sqlx_store::{PostgresStore, sqlx::postgres::PgPoolOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let is_tuned = env::var_os("TUNED").is_some();
    let options = PgPoolOptions::new().test_before_acquire(!is_tuned);
    let store = PostgresStore::new(options.connect(&env::var("DATABASE_URL")?).await?);
    store.migrate().await?;
    let sessions = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::hours(8)));
    let app = Router::new().route("/", get(visit)).layer(sessions);
    let listener = TcpListener::bind(env::var("BIND_ADDRESS")?).await?;
    Ok(axum::serve(listener, app).await?)
}

async fn visit(session: Session) -> Result<Html<String>, StatusCode> {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("visits", visits).await.map_err(failed)?;
    Ok(Html(format!(
        "<!doctype html><title>Visits</title><p>You have been here <b id=\"visits\">{visits}</b> times."
    )))
}
