//! The bound: the app's session store and visit counter behind plain Actix. The cookie contains the session's key.
//! There is no session middleware, encryption or other layer, and the page is as short as the peers' pages.

use std::{collections::HashMap, env};

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::PgSessionStore;
use actix_web::cookie::{Cookie, time::Duration};
use actix_web::error::{ErrorServiceUnavailable, Result};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::header::ContentType};
use app::{database::MIGRATIONS, visitors::VisitCounter};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let pool = sqlx::PgPool::connect(&env::var("DATABASE_URL")?).await?;
    MIGRATIONS.run(&pool).await?;
    let (store, counter) = (
        Data::new(PgSessionStore::new(pool.clone())),
        Data::new(VisitCounter::new(&pool, std::time::Duration::from_secs(3600))),
    );
    let app =
        move || App::new().app_data(store.clone()).app_data(counter.clone()).route("/", web::get().to(visit));
    // The app has the same number of workers.
    let workers = std::thread::available_parallelism()?.get().div_ceil(2);
    HttpServer::new(app).workers(workers).bind(env::var("BIND_ADDRESS")?)?.run().await?;
    Ok(())
}

async fn visit(
    request: HttpRequest,
    store: Data<PgSessionStore>,
    counter: Data<VisitCounter>,
) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    let visits = match user(&request, &store).await? {
        Some(user) => counter.count(user).await.map_err(ErrorServiceUnavailable)?,
        None => {
            let state = HashMap::from([("visitor_id".into(), format!("\"{}\"", Uuid::now_v7()))]);
            let key = store.save(state, &Duration::minutes(30)).await.map_err(ErrorServiceUnavailable)?;
            response.cookie(Cookie::new("id", String::from(key)));
            1
        }
    };
    Ok(response.content_type(ContentType::html()).body(format!(
        "<!doctype html><title>Visits</title><p>You have been here <b id=\"visits\">{visits}</b> times."
    )))
}

async fn user(request: &HttpRequest, store: &PgSessionStore) -> Result<Option<Uuid>> {
    let key = request.cookie("id").and_then(|cookie| SessionKey::try_from(cookie.value().to_owned()).ok());
    let Some(key) = key else { return Ok(None) };
    let state = store.load(&key).await.map_err(ErrorServiceUnavailable)?;
    Ok(state.and_then(|state| state.get("visitor_id")?.trim_matches('"').parse().ok()))
}
