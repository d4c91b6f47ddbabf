//! The visit counter as tower-sessions' own examples write it, with its sessions in PostgreSQL through
//! tower-sessions-sqlx-store, everything at its defaults.

use std::env;

use axum::{Router, http::StatusCode, response::Html, routing::get};
use tokio::net::TcpListener;
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::time::Duration};
use tower_sessions_sqlx_store::{PostgresStore, sqlx::PgPool};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = PgPool::connect(&env::var("DATABASE_URL")?).await?;
    let store = PostgresStore::new(pool);
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
    Ok(Html(format!("<!doctype html><title>Visits</title><p>You have been here <b id=\"visits\">{visits}</b> times.")))
}
