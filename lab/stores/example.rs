//! Tests that the pages of the `stores` example are correct for each store.

use actix_session::storage::{CookieSessionStore, SessionStore};
use actix_session_postgres::PgSessionStore;
use session_store_suite::{MemorySessionStore, Subject};

use crate::column::{example, get};
use crate::pages::{COOKIE, count};
use crate::{has_redis, kind::Kind, subjects::InRedis, support::TestDatabase};

/// Visits all pages like a browser, and then reuses a copy of the cookie.
async fn browse<S: SessionStore + 'static>(kind: Kind, store: impl Fn() -> S + Clone + Send + 'static) {
    let (address, server) = example(kind, store);
    let (first, cookie) = get(&address, "/", None).await;
    assert_eq!(count(&first), 1, "{first}");
    let cookie = cookie.expect("a session");
    let (second, changed) = get(&address, "/", Some(&cookie)).await;
    assert_eq!(count(&second), 2, "{second}");
    let cookie = changed.unwrap_or(cookie);

    let (visits, _) = get(&address, "/visits", Some(&cookie)).await;
    assert_eq!(count(&visits), 2, "{visits}");
    let facts = kind.facts();
    for fact in [facts.state, facts.stolen, facts.logout] {
        assert!(visits.contains(&fact.replace('\'', "&#39;")), "{fact}\n{visits}");
    }

    let (together, cookie) = post(&address, "/together", &cookie).await;
    let counted =
        together.split_once("id=counted>").and_then(|(_, rest)| rest.split_once('<')?.0.parse().ok());
    // Concurrent visits read the same count, so each store loses some.
    assert!((1..20).contains(&counted.unwrap_or(0)), "{together}");
    assert_eq!(count(&together), 2 + counted.unwrap_or(0), "{together}");

    let (_, removed) = post(&address, "/logout", &cookie).await;
    assert_eq!(removed, "");
    let copy = count(&get(&address, "/visits", Some(&cookie)).await.0);
    let survives = if kind == Kind::Cookie { count(&together) } else { 0 };
    assert_eq!(copy, survives, "the copied cookie after the logout");
    server.stop(false).await;
}

/// Sends a POST request. Returns the page and the cookie that it sets.
async fn post(address: &str, path: &str, cookie: &str) -> (String, String) {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let request =
        client.post(format!("http://{address}{path}")).header("cookie", format!("{COOKIE}={cookie}"));
    let response = request.send().await.expect("a response");
    assert!(response.status() == 303 || response.headers()["content-type"] == "text/html; charset=utf-8");
    let set = response.headers()["set-cookie"].to_str().expect("text");
    let cookie = crate::pages::value_of(set).to_owned();
    (response.text().await.expect("a page"), cookie)
}

#[actix_web::test]
async fn the_pages_count_visits_in_memory() {
    let store = MemorySessionStore::default();
    browse(Kind::Memory, move || store.clone()).await;
}

#[actix_web::test]
async fn the_pages_count_visits_in_the_cookie_and_a_copied_cookie_survives_the_logout() {
    browse(Kind::Cookie, CookieSessionStore::default).await;
}

#[actix_web::test]
async fn the_pages_count_visits_in_redis() {
    if has_redis("the example with Redis") {
        let server = InRedis::new(&[]);
        let store = server.store().await;
        browse(Kind::Redis, move || store.clone()).await;
    }
}

#[actix_web::test]
async fn the_pages_count_visits_in_postgres() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    browse(Kind::Postgres, move || PgSessionStore::new(pool.clone())).await;
}
