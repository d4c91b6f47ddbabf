//! Login and logout with sessions in PostgreSQL. The user is `ferris`, and the password is `crab`.

use std::{env, error::Error, time::Duration};

use actix_session::{Session, SessionMiddleware};
use actix_session_postgres::{PgSession, PgSessionStore, guard};
use actix_web::web::{Form, Html, Redirect};
use actix_web::{App, Either, HttpServer, Result, cookie::Key, error::ErrorUnauthorized, get, post};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

#[get("/")]
async fn index() -> Html {
    let inputs = "<input name=name> <input name=password type=password> <button>Log in</button>";
    Html::new(format!("<form method=post action=/login>{inputs}</form>"))
}

#[post("/login")]
async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect> {
    // Check the password against a hash in your database, for example with the `argon2` crate.
    if (&*login.name, &*login.password) != ("ferris", "crab") {
        return Err(ErrorUnauthorized("Wrong name or password\n"));
    }
    session.log_in(login.name.clone());
    session.insert("name", login.name)?;
    Ok(Redirect::to("/members").see_other())
}

#[get("/members")]
async fn members(session: Session) -> Result<Either<Html, Redirect>> {
    let Some(name) = session.get::<String>("name")? else {
        return Ok(Either::Right(Redirect::to("/").see_other()));
    };
    // If users can choose their names, use a template engine that escapes them.
    let page = format!("Hello, {name}! <form method=post action=/logout><button>Log out</button></form>");
    Ok(Either::Left(Html::new(page)))
}

#[post("/logout")]
async fn logout(session: Session) -> Redirect {
    session.end();
    Redirect::to("/").see_other()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = sqlx::PgPool::connect(&env::var("DATABASE_URL")?).await?;
    let store = PgSessionStore::new(pool).owner::<String>();
    store.migrate().await?;
    let _sweep = store.sweep_every(Duration::from_secs(60));
    let key = Key::generate(); // Load it from your settings. Otherwise, a restart logs everyone out.
    let app = move || {
        let sessions = guard(SessionMiddleware::new(store.clone(), key.clone()));
        App::new().wrap(sessions).service(index).service(login).service(members).service(logout)
    };
    Ok(HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?)
}
