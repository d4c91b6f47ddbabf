//! Sends whole requests to the app, which has its own PostgreSQL server. The input is the text of an HTTP
//! request. The word `{valid}` in it is replaced by a visitor's session cookie.
//!
//! For any request, the app neither panics nor fails, and never shows a session whose cookie wasn't sent.

#![no_main]

use std::{cell::RefCell, future::Future, pin::Pin, sync::atomic::Ordering};

use actix_web::http::header::{HeaderName, HeaderValue, SET_COOKIE};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::test::{TestRequest, init_service};
use actix_web::{body::to_bytes, dev::Service, rt::Runtime};
use app::{Config, Dependencies, database};
use dev::Postgres;
use libfuzzer_sys::fuzz_target;
use sqlx::PgPool;

/// The number of inputs after which the tables are emptied.
const ROUND: usize = 50_000;

struct Answer {
    status: StatusCode,
    cookies: Vec<String>,
    body: String,
}

type Send = dyn Fn(TestRequest) -> Pin<Box<dyn Future<Output = Answer>>>;

struct App {
    runtime: Runtime,
    send: Box<Send>,
    pool: PgPool,
    inputs: usize,
    /// A visitor's session cookie, and the visitor's ID.
    cookie: String,
    user: String,
    /// Stops with this process.
    _postgres: Postgres,
}

impl App {
    fn start() -> Self {
        let postgres = Postgres::temporary(&[]).expect("a PostgreSQL server");
        let config = Config::from_lookup(|name| match name {
            "DATABASE_URL" => Some(postgres.url("postgres")),
            "SESSION_SECRET" => Some("a secret of the fuzz targets and of nothing else".into()),
            "COOKIE_SECURE" => Some("false".into()),
            "NEW_SESSIONS_PER_MINUTE" => Some("0".into()),
            _ => None,
        });
        let config = config.expect("a configuration");
        let runtime = Runtime::new().expect("a runtime");
        let (send, pool) = runtime.block_on(async {
            database::migrate(&config).await.expect("an empty database");
            let pool = database::pool(&config);
            let dependencies = Dependencies::new(config, pool.clone());
            dependencies.readiness.migrated.store(true, Ordering::Relaxed);
            let service: &'static _ =
                Box::leak(Box::new(init_service(app::build(&dependencies, &app::routes)).await));
            let send = move |request: TestRequest| {
                Box::pin(async move {
                    let response = match service.call(request.to_request()).await {
                        Ok(response) => response.into_parts().1.map_into_boxed_body(),
                        Err(error) => error.error_response(),
                    };
                    let status = response.status();
                    let cookies = response.headers().get_all(SET_COOKIE);
                    let cookies = cookies.map(|cookie| cookie.to_str().expect("ASCII").to_owned()).collect();
                    let body = to_bytes(response.into_body()).await.unwrap_or_default();
                    Answer { status, cookies, body: String::from_utf8_lossy(&body).into_owned() }
                }) as Pin<Box<dyn Future<Output = Answer>>>
            };
            (Box::new(send), pool)
        });
        let (cookie, user) = Default::default();
        let mut app = Self { runtime, send, pool, inputs: 0, cookie, user, _postgres: postgres };
        app.renew();
        app
    }

    /// Starts a new session for the visitor.
    fn renew(&mut self) {
        let first = self.answer(TestRequest::get());
        self.user = shown_user(&first.body).expect("the first visit shows the visitor").to_owned();
        self.cookie = first.cookies[0].split(';').next().expect("a pair").to_owned();
        let second = TestRequest::get().append_header(("cookie", self.cookie.as_str()));
        assert!(self.answer(second).body.contains(&self.user), "the cookie is valid");
    }

    fn answer(&self, request: TestRequest) -> Answer {
        let address = ([127, 0, 0, 1], 12_345).into();
        self.runtime.block_on((self.send)(request.peer_addr(address)))
    }

    fn check(&mut self, input: &[u8]) {
        self.inputs += 1;
        if self.inputs % ROUND == 0 {
            let truncate = sqlx::raw_sql("truncate sessions, visitors").execute(&self.pool);
            self.runtime.block_on(truncate).expect("the database");
            self.renew();
        }
        let text = replace(input, b"{valid}", self.cookie.as_bytes());
        let Some(request) = parse(&text) else { return };
        let has_cookie = text != input;
        let answer = self.answer(request);

        assert!(!answer.status.is_server_error(), "{}: {}", answer.status, String::from_utf8_lossy(&text));
        assert!(has_cookie || !answer.body.contains(&self.user), "a session whose cookie was not sent");
        let is_new =
            answer.cookies.iter().any(|cookie| cookie.starts_with("id=") && !cookie.starts_with("id=;"));
        if let Some(user) = shown_user(&answer.body) {
            assert!(is_new || (has_cookie && user == self.user), "a session out of nowhere: {user}");
        }
        // The request may have logged the visitor out.
        if has_cookie && answer.status == StatusCode::SEE_OTHER {
            self.renew();
        }
    }
}

fn shown_user(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once(r#"id="visitor""#)?;
    let (_, text) = rest.split_once('>')?;
    text.split_once('<').map(|(user, _)| user)
}

/// Parses text that resembles an HTTP request. Returns `None` if actix-http would reject it.
fn parse(text: &[u8]) -> Option<TestRequest> {
    let end = text.windows(2).position(|two| two == b"\n\n").unwrap_or(text.len());
    let (head, body) = text.split_at(end);
    let mut lines = head.split(|&byte| byte == b'\n');
    let mut words = lines.next()?.split(|&byte| byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = Uri::try_from(words.next()?).ok()?;
    let mut request = TestRequest::with_uri(&target.to_string()).method(method);
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request =
            request.append_header((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?));
    }
    Some(request.set_payload(body.trim_ascii_start().to_vec()))
}

fn replace(text: &[u8], word: &[u8], by: &[u8]) -> Vec<u8> {
    match text.windows(word.len()).position(|window| window == word) {
        Some(at) => [&text[..at], by, &text[at + word.len()..]].concat(),
        None => text.to_vec(),
    }
}

thread_local! {
    static APP: RefCell<App> = RefCell::new(App::start());
}

fuzz_target!(|input: &[u8]| APP.with_borrow_mut(|app| app.check(input)));
