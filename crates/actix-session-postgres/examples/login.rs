//! A login, a page for members and a logout. Visit <http://localhost:8080> and log in as `ferris` with the
//! password `crab`.

use std::{env, error::Error, time::Duration};

use actix_session::{Session, SessionMiddleware};
use actix_session_postgres::{PgSession, PgSessionStore, guard};
use actix_web::{
    App, Either, HttpServer,
    cookie::Key,
    error::ErrorUnauthorized,
    get, post,
    web::{Form, Html, Redirect},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct LogIn {
    name: String,
    password: String,
    /// The checkbox "keep me logged in".
    remember: Option<String>,
}

#[get("/")]
async fn start() -> Html {
    Html::new(
        "<form method=post action=/log-in><input name=name> <input name=password type=password>
        <label><input name=remember type=checkbox> Keep me logged in</label> <button>Log in</button></form>",
    )
}

#[post("/log-in")]
async fn log_in(session: Session, Form(form): Form<LogIn>) -> actix_web::Result<Redirect> {
    // Look up the account in your database, and check the password against its hash, for example with the
    // crate `argon2`.
    if (&*form.name, &*form.password) != ("ferris", "crab") {
        return Err(ErrorUnauthorized("Wrong name or password\n"));
    }
    let login = session.log_in(form.name.clone());
    if form.remember.is_some() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        login.remember(14 * DAY, 90 * DAY);
    }
    session.insert("name", form.name)?;
    Ok(Redirect::to("/members").see_other())
}

#[get("/members")]
async fn members(session: Session) -> actix_web::Result<Either<Html, Redirect>> {
    let Some(name) = session.get::<String>("name")? else {
        return Ok(Either::Right(Redirect::to("/").see_other()));
    };
    // Use a template engine that escapes the name if people choose it themselves.
    let page = format!("Hello, {name}! <form method=post action=/log-out><button>Log out</button></form>");
    Ok(Either::Left(Html::new(page)))
}

#[post("/log-out")]
async fn log_out(session: Session) -> Redirect {
    session.end();
    Redirect::to("/").see_other()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = sqlx::PgPool::connect(&env::var("DATABASE_URL")?).await?;
    let store = PgSessionStore::new(pool).owner::<String>();
    store.migrate().await?;
    let _sweep = store.sweep_every(Duration::from_secs(60));
    let key = Key::generate(); // Load it from your settings, or a restart logs everybody out.
    let app = move || {
        let sessions = guard(SessionMiddleware::new(store.clone(), key.clone()));
        App::new().wrap(sessions).service(start).service(log_in).service(members).service(log_out)
    };
    Ok(HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?)
}
