//! The pages: welcome, visits and logout. The count is in the session, as in most tutorials.

use std::{io, net::TcpListener, time::Duration};

use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::{Session, SessionMiddleware, storage::SessionStore};
use actix_web::cookie::{Key, time};
use actix_web::error::{ErrorBadGateway, ErrorInternalServerError};
use actix_web::web::{self, Data, Html, Redirect};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, dev::Server, http::header, rt};
use askama::Template;
use futures_util::future::try_join_all;

use crate::kind::Kind;

pub const COOKIE: &str = "stores-id";

/// Starts the app with two workers, each with its own instance of the store.
pub fn serve<S: SessionStore + 'static>(
    listener: TcpListener,
    kind: Kind,
    secret: Key,
    store: impl Fn() -> S + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        let session = SessionMiddleware::builder(store(), secret.clone())
            .cookie_name(COOKIE.to_owned())
            .cookie_content_security(CookieContentSecurity::Private)
            // Allows plain HTTP on localhost.
            .cookie_secure(false)
            .session_lifecycle(BrowserSession::default().state_ttl(time::Duration::minutes(30)))
            .build();
        App::new()
            .app_data(Data::new(kind))
            // This route is outside the session middleware, because it makes requests with the visitor's cookie.
            .route("/together", web::post().to(together))
            .service(
                web::scope("")
                    .wrap(session)
                    .route("/", web::get().to(welcome))
                    .route("/visits", web::get().to(visits))
                    .route("/logout", web::post().to(logout)),
            )
    });
    Ok(server.workers(2).listen(listener)?.run())
}

/// Counts a visit as most tutorials do: the handler reads the count, adds one, and writes it.
async fn welcome(session: Session) -> actix_web::Result<impl Responder> {
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    // Most pages wait for something, such as a database. Meanwhile, the visitor's other requests read the
    // same count.
    rt::time::sleep(Duration::from_millis(10)).await;
    session.insert("visits", visits)?;
    Ok(Html::new(format!(
        "<h1>Welcome!</h1><p>This is visit <b id=visits>{visits}</b>.</p><a href=/visits>Your visits</a>"
    )))
}

/// Shows the count, and facts about this kind of session. Doesn't start a session.
async fn visits(
    session: Session,
    kind: Data<Kind>,
    request: HttpRequest,
) -> actix_web::Result<impl Responder> {
    let visits = session.get("visits")?.unwrap_or(0);
    let cookie = request.cookie(COOKIE).map(|cookie| cookie.value().to_owned());
    render(&Visits { kind: **kind, visits, cookie, address: address(&request), together: None })
}

/// Ends the session and redirects to the visits page, which then has no session.
async fn logout(session: Session) -> impl Responder {
    session.purge();
    Redirect::to("/visits").see_other()
}

/// Sends 20 visits at the same time, as a browser with many tabs would, and shows how many were counted.
async fn together(kind: Data<Kind>, request: HttpRequest) -> actix_web::Result<HttpResponse> {
    let Some(cookie) = request.cookie(COOKIE) else {
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish());
    };
    let address = address(&request);
    let sent = 20;
    let after = visit_together(&address, cookie.value(), sent).await.map_err(ErrorBadGateway)?;
    let together = Some((sent, after.counted));
    let page =
        Visits { kind: **kind, visits: after.visits, cookie: Some(after.cookie.clone()), address, together };
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", after.cookie);
    let page = render(&page)?.customize().insert_header((header::SET_COOKIE, cookie));
    Ok(page.respond_to(&request).map_into_boxed_body())
}

/// The session after several visits.
pub struct After {
    pub visits: u64,
    pub counted: u64,
    /// The browser's cookie. Browsers keep the one they received last.
    pub cookie: String,
}

/// Sends visits with the same cookie, all at the same time.
pub async fn visit_together(address: &str, cookie: &str, visits: usize) -> reqwest::Result<After> {
    let client = reqwest::Client::new();
    let get = async |path: &str, cookie: &str| {
        let request =
            client.get(format!("http://{address}{path}")).header("cookie", format!("{COOKIE}={cookie}"));
        let response = request.send().await?.error_for_status()?;
        let set = response.headers().get("set-cookie").and_then(|value| value.to_str().ok()).map(value_of);
        let cookie = set.unwrap_or(cookie).to_owned();
        reqwest::Result::Ok((count(&response.text().await?), cookie))
    };
    let (before, _) = get("/visits", cookie).await?;
    let responses = try_join_all((0..visits).map(|_| get("/", cookie))).await?;
    let cookie = responses.last().map_or(cookie, |(_, cookie)| cookie);
    let (visits, _) = get("/visits", cookie).await?;
    Ok(After { visits, counted: visits.saturating_sub(before), cookie: cookie.to_owned() })
}

/// Returns the value in a `Set-Cookie` header.
pub fn value_of(set_cookie: &str) -> &str {
    let pair = set_cookie.split(';').next().unwrap_or_default();
    pair.split_once('=').unwrap_or_default().1
}

/// Returns the count that a page shows.
pub fn count(page: &str) -> u64 {
    let shown = page.split_once("id=visits>").and_then(|(_, rest)| rest.split_once('<')?.0.parse().ok());
    shown.unwrap_or(0)
}

fn address(request: &HttpRequest) -> String {
    request.app_config().local_addr().to_string()
}

fn render(page: &Visits) -> actix_web::Result<Html> {
    Ok(Html::new(page.render().map_err(ErrorInternalServerError)?))
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sessions: {{ kind.name() }}</title>
<style>body { max-width: 45rem; margin: 2rem auto; font-family: sans-serif } pre { white-space: pre-wrap }</style>
<h1>Sessions: {{ kind.name() }}</h1>
<p>You have been here <b id=visits>{{ visits }}</b> times. <a href="/">Visit again</a></p>
{% if let Some((sent, counted)) = together %}
<p role="status">{{ sent }} visits were sent at once. Counted: <b id=counted>{{ counted }}</b></p>
{% endif %}
<form method="post" action="/together"><button>Send 20 visits at once</button></form>
<form method="post" action="/logout"><button>Log out</button></form>
{% let facts = kind.facts() %}
<dl>
<dt>Where the state lives</dt><dd>{{ facts.state }}</dd>
<dt>What a stolen cookie can do</dt><dd>{{ facts.stolen }}</dd>
<dt>What happens at logout</dt><dd>{{ facts.logout }}</dd>
</dl>
{% if let Some(cookie) = cookie %}
<p>Be the thief: copy this command, log out, and run it.</p>
<pre>curl -s -b '{{ COOKIE }}={{ cookie }}' http://{{ address }}/visits | grep '&lt;b id'</pre>
{% endif %}
"#
)]
struct Visits {
    kind: Kind,
    visits: u64,
    cookie: Option<String>,
    address: String,
    /// How many visits were sent at the same time, and how many of them were counted.
    together: Option<(usize, u64)>,
}
