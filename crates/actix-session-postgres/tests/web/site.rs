//! A small site for these tests. Requests can wait at a gate until the test lets them continue.

use std::{rc::Rc, time::Duration};

use actix_session::{Session, SessionMiddleware, config::SessionLifecycle};
use actix_session_postgres::{PgSession, PgSessionStore, guard};
use actix_web::body::{MessageBody, to_bytes};
use actix_web::cookie::{Cookie, Key};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{StatusCode, header::SET_COOKIE};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, Data, Path};
use actix_web::{App, HttpResponse, middleware::Condition};
use futures_util::future::LocalBoxFuture;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use crate::support::{PATIENCE, TestDatabase};

pub const ALICE: Uuid = Uuid::from_u128(1);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Send = dyn Fn(actix_http::Request) -> LocalBoxFuture<'static, Response>;

pub struct Site {
    pub database: TestDatabase,
    pub store: PgSessionStore,
    gate: Data<Gate>,
    send: Box<Send>,
}

/// `arrived` has a permit for each request that is waiting, and `open` has one for each request that may continue.
struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    /// All `Set-Cookie` headers.
    pub cookies: Vec<String>,
    pub body: String,
}

impl Site {
    pub async fn new() -> Self {
        Self::with(true, actix_session::config::BrowserSession::default()).await
    }

    pub async fn unguarded() -> Self {
        Self::with(false, actix_session::config::BrowserSession::default()).await
    }

    pub async fn with_lifecycle(lifecycle: impl Into<SessionLifecycle>) -> Self {
        Self::with(true, lifecycle).await
    }

    async fn with(is_guarded: bool, lifecycle: impl Into<SessionLifecycle>) -> Self {
        let database = TestDatabase::new().await;
        let store = PgSessionStore::new(database.pool.clone()).max_age(30 * DAY);
        Self::on(database, store, is_guarded, lifecycle.into()).await
    }

    pub async fn on(
        database: TestDatabase,
        store: PgSessionStore,
        is_guarded: bool,
        lifecycle: SessionLifecycle,
    ) -> Self {
        crate::support::log::capture();
        let gate = Data::new(Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) });
        let middleware = || {
            SessionMiddleware::builder(store.clone(), Key::from(&[7; 64]))
                .session_lifecycle(lifecycle.clone())
                .build()
        };
        let app = App::new()
            .app_data(gate.clone())
            .route("/{action}", web::get().to(act))
            .route("/held/{action}", web::get().to(act_when_open))
            .configure(crate::typed::routes)
            .wrap(Condition::new(!is_guarded, middleware()))
            .wrap(Condition::new(is_guarded, guard(middleware())));
        let app = Rc::new(init_service(app).await);
        let send = move |request| -> LocalBoxFuture<'static, Response> {
            let app = Rc::clone(&app);
            Box::pin(async move {
                match app.call(request).await {
                    Ok(response) => Response::of(response).await,
                    Err(error) => Response {
                        status: error.error_response().status(),
                        cookies: Vec::new(),
                        body: String::new(),
                    },
                }
            })
        };
        Self { database, store, gate, send: Box::new(send) }
    }

    /// Sends a request with this session cookie.
    pub async fn get(&self, path: &str, cookie: Option<&str>) -> Response {
        let request = TestRequest::get().uri(path);
        let request = match cookie {
            Some(cookie) => request.insert_header(("cookie", cookie)),
            None => request,
        };
        (self.send)(request.to_request()).await
    }

    /// Starts a session and returns its cookie.
    pub async fn start(&self) -> String {
        self.get("/write", None).await.session().expect("a session cookie")
    }

    /// Sends a request that loads its session and then waits. Runs `meanwhile`, and then lets the request continue.
    pub async fn get_held<T>(
        &self,
        path: &str,
        cookie: &str,
        meanwhile: impl Future<Output = T>,
    ) -> (Response, T) {
        let meanwhile = async {
            wait(&self.gate.arrived).await;
            let result = meanwhile.await;
            self.gate.open.add_permits(1);
            result
        };
        futures_util::join!(self.get(path, Some(cookie)), meanwhile)
    }
}

impl Response {
    async fn of(response: ServiceResponse<impl MessageBody<Error = impl std::fmt::Debug>>) -> Self {
        let status = response.status();
        let headers = response.headers().get_all(SET_COOKIE);
        let cookies = headers.map(|value| value.to_str().expect("text").to_owned()).collect();
        let body = to_bytes(response.into_body()).await.expect("a body");
        Self { status, cookies, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// The `name=value` of the session cookie, if the response sets it.
    pub fn session(&self) -> Option<String> {
        let cookie = self.cookies.iter().find(|cookie| cookie.starts_with("id="))?;
        cookie.split(';').next().map(str::to_owned)
    }

    /// The `Max-Age` of the only cookie, in seconds.
    pub fn max_age(&self) -> Option<i64> {
        let [cookie] = &self.cookies[..] else { panic!("expected one cookie: {self:?}") };
        let cookie = Cookie::parse(cookie.as_str()).expect("a cookie");
        cookie.max_age().map(|age| age.whole_seconds())
    }
}

async fn wait(permits: &Semaphore) {
    timeout(PATIENCE, permits.acquire()).await.expect("in time").expect("open").forget();
}

async fn act_when_open(session: Session, gate: Data<Gate>, action: Path<String>) -> HttpResponse {
    gate.arrived.add_permits(1);
    wait(&gate.open).await;
    act(session, action).await
}

async fn act(session: Session, action: Path<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    match action.as_str() {
        "show" => {}
        "write" => session.insert("note", "written").expect("a value"),
        "rotate" => session.rotate(),
        "log-in" => drop(session.log_in(ALICE)),
        "remember" => session.log_in(ALICE).remember(7 * DAY, 20 * DAY),
        "renew" => session.renew(),
        "end" => session.end(),
        "purge" => session.purge(),
        "large" => session.insert("note", "x".repeat(70_000)).expect("a value"),
        "own-cookies" => {
            response.cookie(Cookie::new("first", "1")).cookie(Cookie::new("second", "2"));
        }
        "own-cookies-and-write" => {
            response.cookie(Cookie::new("first", "1")).cookie(Cookie::new("second", "2"));
            session.insert("note", "with cookies").expect("a value");
        }
        other => panic!("unknown action {other}"),
    }
    let note: Option<String> = session.get("note").expect("text");
    response.body(note.unwrap_or_default())
}
