//! Pages that only the tests use. With them, tests of headers, cookies and limits don't depend on a page that somebody
//! may change or delete.

use std::sync::{Arc, Mutex, PoisonError};
use std::{collections::HashMap, time::Duration};

use actix_session::SessionExt;
use actix_session_postgres::PgSession;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes, Data, Form, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use app::{Error, Pages, get, session::Session, view::redirect};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

/// The longest time that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A page deadline that is long enough for a request that a test holds.
const LIMIT: Duration = Duration::from_secs(30);

/// The gates at which requests wait until the test lets them continue.
#[derive(Default)]
pub struct Gates(Mutex<HashMap<String, Gate>>);

/// A gate. `arrived` has a permit for each request that is waiting, and `open` has one for each that may continue.
#[derive(Clone)]
pub struct Gate {
    pub arrived: Arc<Semaphore>,
    pub open: Arc<Semaphore>,
}

impl Gates {
    pub fn gate(&self, name: &str) -> Gate {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

impl Gate {
    pub async fn wait(permits: &Semaphore) {
        timeout(PATIENCE, permits.acquire()).await.expect("in time").expect("open").forget();
    }
}

/// | path | what it does |
/// | --- | --- |
/// | `GET /probe` | shows the ID that `start` put into the session, or nothing |
/// | `GET /probe/{action}` | `start` (or `start-…`, to find it in the log), `write`, `rotate`, `log-in` or `end` the session, then shows its ID |
/// | `GET /probe/{action}/held/{gate}` | the same, after the test opens the gate |
/// | `GET /probe-slow`, `/probe-stuck` | never answer; the first has a short deadline |
/// | `GET /probe-panic`, `/probe-error` | panics, or returns an error |
/// | `POST /probe-bytes`, `/probe-webhook` | take any body, without a session |
/// | `POST /probe-form`, `/probe-json`; `GET /probe-query`, `/probe-path/{n}` | take a number `n` |
pub fn routes(gates: &Data<Gates>, config: &mut ServiceConfig, pages: &Pages) {
    config
        .app_data(gates.clone())
        .service(pages.slow_page(get("/probe", show), LIMIT))
        .service(pages.slow_page(get("/probe/{action}", act), LIMIT))
        .service(pages.slow_page(get("/probe/{action}/held/{gate}", act_when_open), LIMIT))
        .service(
            pages.slow_page(
                get("/probe-slow", std::future::pending::<HttpResponse>),
                Duration::from_millis(50),
            ),
        )
        .service(pages.page(get("/probe-stuck", std::future::pending::<HttpResponse>)))
        .service(get("/probe-panic", panics))
        .service(get("/probe-forbidden", panics).wrap(from_fn(forbids)))
        .service(get("/probe-error", async || {
            Err::<HttpResponse, _>(Error::Internal(anyhow::anyhow!("a canary")))
        }))
        .route("/probe-form", web::post().to(async |form: Form<Number>| form.n.to_string()))
        .route("/probe-json", web::post().to(async |json: Json<Number>| json.n.to_string()))
        .route("/probe-bytes", web::post().to(async |body: Bytes| body.len().to_string()))
        .route("/probe-webhook", web::post().to(webhook))
        .route("/probe-query", web::get().to(async |query: Query<Number>| query.n.to_string()))
        .route("/probe-path/{n}", web::get().to(async |path: Path<Number>| path.n.to_string()))
        .service(pages.page(
            web::resource("/probe-redirect").route(web::post().to(async || redirect("/probe").finish())),
        ));
}

#[derive(Deserialize)]
struct Number {
    n: u32,
}

/// A guard for members, as an app's author might write it.
async fn forbids(
    _: ServiceRequest,
    _: Next<impl MessageBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    Err(actix_web::error::ErrorForbidden(anyhow::anyhow!("for members only")))
}

/// Shows the request's body, and whether a session was loaded.
async fn webhook(request: HttpRequest, body: String) -> String {
    let session = if request.get_session().entries().is_empty() { "empty session" } else { "a session" };
    format!("{session}: {body}")
}

async fn panics() -> HttpResponse {
    panic!("a test's handler panics")
}

async fn show(session: Session) -> HttpResponse {
    let visitor = session.session().get::<String>("probe").ok().flatten().unwrap_or_default();
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(format!("<!doctype html><title>Probe</title><link rel=icon href=/static/favicon.svg><p id=\"visitor\">{visitor}</p>"))
}

async fn act(request: HttpRequest, session: Session, action: Path<String>) -> impl Responder {
    match action.as_str() {
        start if start.starts_with("start") => {
            session.session().insert("probe", Uuid::new_v4()).expect("a value");
        }
        "write" => request.get_session().insert("note", "written").expect("a value"),
        "rotate" => session.rotate(),
        "log-in" => {
            drop(session.log_in(Uuid::from_u128(7)));
            session.session().insert("account", 7).expect("a value");
        }
        "end" => session.end(),
        "nothing" => {}
        other => panic!("unknown action {other}"),
    }
    show(session).await
}

async fn act_when_open(
    request: HttpRequest,
    session: Session,
    gates: Data<Gates>,
    path: Path<(String, String)>,
) -> impl Responder {
    let (action, gate) = path.into_inner();
    let gate = gates.gate(&gate);
    gate.arrived.add_permits(1);
    Gate::wait(&gate.open).await;
    act(request, session, action.into()).await
}
