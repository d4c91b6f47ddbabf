use std::{collections::HashMap, sync::Arc};

use actix_postgres_sessions::{
    Config, Dependencies, app::session, database, middleware::session_cookie::session_cookie,
    session::TypedSession,
};
use actix_session::SessionExt;
use actix_web::{
    App, HttpRequest, HttpServer, Responder,
    dev::ServerHandle,
    middleware::from_fn,
    rt,
    web::{self, Data, Path},
};
use reqwest::{Client, Method, redirect::Policy};
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

use super::{Page, TestApp, TestDatabase};

/// An application with a login, as whoever copies the demo would write it: a session that is rotated, and handlers that
/// a test can hold between reading the session and saving it.
pub struct LoginApp {
    pub database: TestDatabase,
    url: String,
    server: ServerHandle,
    held: Data<Held>,
}

/// Where requests wait until the test lets them go.
struct Held {
    arrived: Semaphore,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Held {
    async fn gate(&self, name: &str) -> Arc<Semaphore> {
        self.gates.lock().await.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }
}

impl LoginApp {
    pub async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    pub async fn spawn_with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new().await;
        let config = TestApp::config(settings);
        let config = Config { database_url: database.options.clone(), ..config };
        let dependencies =
            Dependencies::new(config.clone(), database::pool(&config)).expect("a secret that can be used");
        let held = Data::new(Held { arrived: Semaphore::new(0), gates: Mutex::default() });
        let shared = held.clone();
        let server = HttpServer::new(move || {
            let store = dependencies.new_store();
            App::new()
                .app_data(dependencies.cookie.clone())
                .app_data(Data::new(store.clone()))
                .app_data(shared.clone())
                .route("/start", web::get().to(start))
                .route("/who", web::get().to(who))
                .route("/rotate", web::get().to(rotate))
                .route("/end", web::get().to(end))
                .route("/held/{what}/{gate}", web::get().to(hold))
                .wrap(session(&dependencies, &store))
                .wrap(from_fn(session_cookie))
        });
        let server = server.workers(2).disable_signals().bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        Self { database, url, server: handle, held }
    }

    /// GET with this `Cookie` header.
    pub async fn get(&self, path: &str, cookie: &str) -> Page {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        Page::of(client.request(Method::GET, format!("{}{path}", self.url)).header("cookie", cookie)).await
    }

    /// A new session: who it is, and its cookie.
    pub async fn start(&self) -> (String, String) {
        let page = self.get("/start", "").await;
        let cookie = page.cookie("id").expect("a session cookie");
        (page.body, cookie)
    }

    /// The cookie of a new session that holds something, but names nobody.
    pub async fn nobodys(&self) -> String {
        self.release("nobody").await;
        self.get("/held/write/nobody", "").await.cookie("id").expect("a session cookie")
    }

    /// Sends a request that does `what` to its session, and comes back once it waits at `gate`, with the session read
    /// and nothing saved.
    pub async fn hold(&self, what: &str, gate: &str, cookie: &str) -> rt::task::JoinHandle<Page> {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        let request = client.get(format!("{}/held/{what}/{gate}", self.url)).header("cookie", cookie);
        // Of requests that went through without being waited for.
        self.held.arrived.forget_permits(Semaphore::MAX_PERMITS);
        let answer = rt::spawn(Page::of(request));
        self.held.arrived.acquire().await.expect("open").forget();
        answer
    }

    /// Lets go what waits at `gate`.
    pub async fn release(&self, gate: &str) {
        self.held.gate(gate).await.add_permits(1);
    }
}

impl Drop for LoginApp {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn start(session: TypedSession) -> impl Responder {
    let user = Uuid::now_v7();
    session.start(user).expect("a session");
    user.to_string()
}

async fn who(session: TypedSession) -> impl Responder {
    session.user_id().map_or("a stranger".to_owned(), |user| user.to_string())
}

async fn rotate(session: TypedSession) -> impl Responder {
    session.rotate().expect("a session");
    who(session).await
}

async fn end(session: TypedSession) -> impl Responder {
    session.end();
    "ended"
}

async fn hold(
    request: HttpRequest,
    session: TypedSession,
    held: Data<Held>,
    path: Path<(String, String)>,
) -> impl Responder {
    let (what, gate) = path.into_inner();
    held.arrived.add_permits(1);
    held.gate(&gate).await.acquire().await.expect("open").forget();
    match what.as_str() {
        "write" => request.get_session().insert("note", "late").expect("a session"),
        "start" => session.start(Uuid::now_v7()).expect("a session"),
        "rotate" => session.rotate().expect("a session"),
        "end" => session.end(),
        _ => {}
    }
    who(session).await
}
