use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::{self, ThreadId},
};

use actix_web::{
    dev::ServerHandle,
    http::StatusCode,
    rt,
    web::{Data, ServiceConfig},
};
use app::{Config, Dependencies, Pages, config::DatabaseUrl, database, readiness::Readiness, server};
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap, redirect::Policy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    TestDatabase, log,
    probe::{self, Gate, Gates, PATIENCE},
};

/// The app with its own database and port, without TLS, and with the pages of [`probe`].
pub struct TestApp {
    pub database: TestDatabase,
    pub config: Config,
    pub url: String,
    pub readiness: Data<Readiness>,
    gates: Data<Gates>,
    workers: Arc<Mutex<Vec<ThreadId>>>,
    server: ServerHandle,
}

impl TestApp {
    pub async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    /// Starts the app, and returns it with a browser that has a session.
    pub async fn spawn_with_session() -> (Self, Browser) {
        let app = Self::spawn().await;
        let browser = app.browser();
        browser.get("/probe/start").await;
        (app, browser)
    }

    /// Starts the app with these variables instead of the usual settings of a test.
    pub async fn spawn_with(settings: &[(&str, &str)]) -> Self {
        Self::on(TestDatabase::new().await, settings).await
    }

    pub async fn on(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::with_routes(database, settings, |_, _| {}).await
    }

    /// Starts the app with more routes.
    pub async fn with_routes(
        database: TestDatabase,
        settings: &[(&str, &str)],
        more: fn(&mut ServiceConfig, &Pages),
    ) -> Self {
        let config = Self::config(settings);
        let config = Config { database_url: DatabaseUrl(database.options.clone()), ..config };
        let dependencies = Dependencies::new(config.clone(), database::pool(&config));
        dependencies.readiness.migrated.store(true, Ordering::Relaxed);
        let gates = Data::<Gates>::default();
        let workers = Arc::<Mutex<Vec<ThreadId>>>::default();
        let (shared, threads) = (gates.clone(), Arc::clone(&workers));
        let routes = move |config: &mut ServiceConfig, pages: &Pages| {
            threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current().id());
            app::routes(config, pages);
            probe::routes(&shared, config, pages);
            more(config, pages);
        };
        let never = std::future::pending();
        let (server, address) = server::start(&dependencies, routes, never).expect("a free port");
        let url = format!("http://{address}");
        let handle = server.handle();
        rt::spawn(server);
        Self { database, config, url, readiness: dependencies.readiness, gates, workers, server: handle }
    }

    /// Returns a test's configuration, without a database.
    pub fn config(settings: &[(&str, &str)]) -> Config {
        log::capture();
        let config = Config::from_lookup(|name| {
            let usual = match name {
                "DATABASE_URL" => Some("postgres://replaced.later/"),
                "SESSION_SECRET" => Some("a secret of the tests and of nothing else"),
                "COOKIE_SECURE" => Some("false"),
                "BIND_ADDRESS" => Some("127.0.0.1:0"),
                "WORKERS" => Some("2"),
                _ => None,
            };
            let set = settings.iter().find(|(set, _)| *set == name).map(|(_, value)| *value);
            set.or(usual).map(str::to_owned)
        });
        config.expect("a test's configuration")
    }

    /// Returns a client that acts like a browser. It keeps cookies, but doesn't follow redirects.
    pub fn browser(&self) -> Browser {
        let client = Client::builder().cookie_store(true).redirect(Policy::none()).build().expect("a client");
        Browser { client, url: self.url.clone() }
    }

    /// Returns a request without cookies.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        client.request(method, format!("{}{path}", self.url))
    }

    /// Starts a session on a page that no app has. Returns its ID there and the cookie (`id=…`).
    pub async fn start(&self) -> (String, String) {
        let page = self.get("/probe/start").await;
        (page.visitor().to_owned(), page.cookie("id").expect("a session cookie"))
    }

    /// Sends a request that performs `action` on its session ([`probe::routes`]). Returns when the request waits at
    /// `gate`. By then, it has loaded the session and saved nothing.
    pub async fn hold(&self, action: &str, gate: &str, cookie: &str) -> rt::task::JoinHandle<Page> {
        let request = self.request(Method::GET, &format!("/probe/{action}/held/{gate}"));
        let held = rt::spawn(Page::of(request.header("cookie", cookie)));
        Gate::wait(&self.gates.gate(gate).arrived).await;
        held
    }

    /// Lets a request that waits at `gate` continue.
    pub fn release(&self, gate: &str) {
        self.gates.gate(gate).open.add_permits(1);
    }

    /// Returns a request without cookies, as if from a form on this site.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header("sec-fetch-site", "same-origin")
    }

    /// Sends a GET request without cookies.
    pub async fn get(&self, path: &str) -> Page {
        Page::of(self.request(Method::GET, path)).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.trim_start_matches("http://")).await.expect("a connection")
    }

    /// Sends these bytes, and returns everything that the app sends until it closes the connection.
    pub async fn exchange(&self, bytes: &[u8]) -> String {
        self.exchange_on(self.connect().await, bytes).await
    }

    /// Like [`Self::exchange`], on this connection.
    pub async fn exchange_on(&self, mut stream: TcpStream, bytes: &[u8]) -> String {
        let exchange = async {
            stream.write_all(bytes).await?;
            let mut response = Vec::new();
            stream.read_to_end(&mut response).await?;
            io::Result::Ok(String::from_utf8_lossy(&response).to_lowercase())
        };
        timeout(PATIENCE, exchange).await.expect("in time").expect("a response")
    }

    /// Returns the number of sessions in the table.
    pub async fn sessions(&self) -> i64 {
        self.database.number("select count(*) from sessions").await
    }

    /// Sends a GET request with this `Cookie` header.
    pub async fn get_with(&self, path: &str, cookie: &str) -> Page {
        Page::of(self.request(Method::GET, path).header("cookie", cookie)).await
    }

    pub async fn stop(&self) {
        self.server.stop(true).await;
    }
}

impl Drop for TestApp {
    /// Stops the app. If the test fails, prints the end of its last request's log.
    fn drop(&mut self) {
        if thread::panicking() {
            log::print_last_request(&self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        }
        drop(self.server.stop(false));
    }
}

/// A client that keeps cookies, like a browser.
pub struct Browser {
    client: Client,
    url: String,
}

impl Browser {
    pub async fn get(&self, path: &str) -> Page {
        Page::of(self.request(Method::GET, path)).await
    }

    /// Posts a form, as a browser does from a page on this site.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        Page::of(request.form(fields)).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }
}

/// What precedes the request ID on an error page.
const REQUEST_ID: &str = r#"<code class="all">"#;

/// A complete response.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl fmt::Debug for Page {
    /// Also shows the last lines that the app logged for the request, if this is an error page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#?}\n{}", self.status, self.headers, self.body)?;
        let id = self.body.split_once(REQUEST_ID).and_then(|(_, rest)| rest.get(..36));
        let lines = id.map(log::lines_with).unwrap_or_default();
        lines.iter().rev().take(5).rev().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl Page {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        let status = StatusCode::from_u16(response.status().as_u16()).expect("a status");
        let headers = response.headers().clone();
        let body = response.bytes().await.expect("the whole body");
        Self { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Returns the text of the element with this ID. Panics if there is none.
    pub fn element(&self, id: &str) -> &str {
        self.try_element(id).unwrap_or_else(|| panic!("no #{id} in {self:#?}"))
    }

    pub fn try_element(&self, id: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!(r#"id="{id}""#))?;
        let (_, text) = rest.split_once('>')?;
        text.split_once('<').map(|(text, _)| text)
    }

    /// The owner of the session, on a page that shows it.
    pub fn visitor(&self) -> &str {
        self.element("visitor")
    }

    /// The request ID on an error page.
    pub fn request_id(&self) -> &str {
        let (_, id) = self.body.split_once(REQUEST_ID).expect("a request id");
        &id[..36]
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// All `Set-Cookie` headers.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// The methods in the `Allow` header, sorted.
    pub fn allow(&self) -> Vec<&str> {
        let mut allow: Vec<&str> = self.header("allow").split(", ").collect();
        allow.sort_unstable();
        allow
    }

    /// The `name=value` of a cookie that the response sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let set = self.set_cookies().into_iter().find(|set| set.starts_with(&format!("{name}=")))?;
        set.split(';').next().map(str::to_owned)
    }
}
