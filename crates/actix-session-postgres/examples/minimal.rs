//! A complete app: visit <http://localhost:8080>, `/log-in/7`, `/rotate` and `/log-out`.

use std::{env, error::Error, time::Duration};

use actix_session::{Session, SessionMiddleware};
use actix_session_postgres::{PgSession, PgSessionStore, guard};
use actix_web::{App, HttpServer, cookie::Key, get, web::Path};

#[get("/")]
async fn welcome(session: Session) -> actix_web::Result<String> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    let account = session.get::<i64>("account")?;
    Ok(format!("Visit {visits} of {}\n", account.map_or("a visitor".into(), |id| format!("account {id}"))))
}

#[get("/log-in/{account}")]
async fn log_in(session: Session, account: Path<i64>) -> actix_web::Result<&'static str> {
    // A real app checks a password first.
    session.log_in(*account);
    session.insert("account", *account)?;
    Ok("Logged in\n")
}

#[get("/rotate")]
async fn rotate(session: Session) -> &'static str {
    session.rotate();
    "The session has a new key\n"
}

#[get("/log-out")]
async fn log_out(session: Session) -> &'static str {
    session.end();
    "Logged out\n"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = sqlx::PgPool::connect(&env::var("DATABASE_URL")?).await?;
    let store = PgSessionStore::new(pool).owner::<i64>();
    store.migrate().await?;
    let _sweep = store.sweep_every(Duration::from_secs(60));
    let key = Key::generate(); // Load it from your settings. Otherwise, a restart logs everyone out.
    let app = move || {
        let sessions = guard(SessionMiddleware::new(store.clone(), key.clone()));
        App::new().wrap(sessions).service(welcome).service(log_in).service(rotate).service(log_out)
    };
    Ok(HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?)
}
