use std::io;
use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};
use std::thread::{self, ThreadId};

use actix_web::cookie::{Cookie, CookieJar};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{dev::ServerHandle, rt};
use app::{
    Config, Dependencies, Pages, config::DatabaseUrl, database, readiness::Readiness, secret::SecretKeys,
    server,
};
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{net::TcpStream, time::timeout};

use super::probe::{self, Gate, Gates, PATIENCE};
use super::{Browser, Page, TestDatabase, log, process};

/// The secret of every [`TestApp`] that sets no other.
pub const SECRET: &str = "a secret of the tests and of nothing else";

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

    /// Starts the app, and returns it with a browser that has no session.
    pub async fn spawn_with_browser() -> (Self, Browser) {
        let app = Self::spawn().await;
        let browser = app.browser();
        (app, browser)
    }

    /// Starts the app, and returns it with a browser that has a session.
    pub async fn spawn_with_session() -> (Self, Browser) {
        let (app, browser) = Self::spawn_with_browser().await;
        browser.get("/probe/start").await;
        (app, browser)
    }

    /// Starts the app with a test's usual settings, except for these variables.
    pub async fn spawn_with(settings: &[(&str, &str)]) -> Self {
        Self::on(TestDatabase::new().await, settings).await
    }

    pub async fn on(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::with_routes(database, settings, |_, _| {}).await
    }

    /// Starts the app with additional routes.
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
                "SESSION_SECRET" => Some(SECRET),
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

    /// Starts a session on a page of [`probe`]. Returns the ID that the page shows, and the cookie (`id=…`).
    pub async fn start(&self) -> (String, String) {
        let page = self.get("/probe/start").await;
        (page.visitor().to_owned(), page.cookie("id").expect("a session cookie"))
    }

    /// Sends a request that performs `action` on its session ([`probe::routes`]). Returns once the request is
    /// waiting at `gate`. By then, it has loaded the session and saved nothing.
    pub async fn hold(&self, action: &str, gate: &str, cookie: &str) -> rt::task::JoinHandle<Page> {
        let request = self.request(Method::GET, &format!("/probe/{action}/held/{gate}"));
        let held = rt::spawn(Page::of(request.header("cookie", cookie)));
        Gate::wait(&self.gates.gate(gate).arrived).await;
        held
    }

    /// Lets a request that is waiting at `gate` continue.
    pub fn release(&self, gate: &str) {
        self.gates.gate(gate).open.add_permits(1);
    }

    /// Returns a request without cookies, as if from a form on this site.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header("sec-fetch-site", "same-origin")
    }

    /// Sends a request with these headers, and without cookies.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Page {
        Page::with(self.request(method, path), headers).await
    }

    /// Sends a GET request without cookies.
    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, &[]).await
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
        self.send(Method::GET, path, &[("cookie", cookie)]).await
    }

    /// Runs the program on the app's database. Returns whether it succeeded, what it printed, and its log.
    pub fn run(&self, arguments: &[&str], input: &str) -> (bool, String, String) {
        let variables = [("DATABASE_URL", &*self.database.url), ("SESSION_SECRET", SECRET)];
        let (code, printed, log) = process::run(&std::env::temp_dir(), arguments, &variables, input);
        (code == Some(0), printed, log)
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

/// Returns the session cookie that the app would create for this key with `secret`, as `name=value`.
pub fn encrypt(secret: &str, name: &str, key: &str) -> String {
    let keys = SecretKeys::parse(secret).expect("a secret");
    let mut jar = CookieJar::new();
    jar.private_mut(keys.current()).add(Cookie::new(name.to_owned(), key.to_owned()));
    jar.get(name).expect("it was just added").encoded().to_string()
}

/// Returns the key in a session cookie, if the cookie was encrypted with `secret`.
pub fn decrypt(secret: &str, cookie: &str) -> Option<String> {
    let keys = SecretKeys::parse(secret).expect("a secret");
    let cookie = Cookie::parse_encoded(cookie.to_owned()).expect("a cookie");
    let name = cookie.name().to_owned();
    let mut jar = CookieJar::new();
    jar.add_original(cookie);
    jar.private(keys.current()).get(&name).map(|cookie| cookie.value().to_owned())
}
