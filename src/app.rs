//! The route table, and the middleware in the order in which a request meets it.

use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
};
use actix_web::{
    App, Error, FromRequest, Handler, Resource, Responder, Route,
    body::MessageBody,
    cookie::{SameSite, time::Duration},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data},
};
use sqlx::PgPool;

use crate::{
    Config, PgSessionStore,
    middleware::{
        cross_origin::cross_origin,
        deadline::deadline,
        error_pages::error_pages,
        new_sessions::{NewSessions, new_sessions},
        request_limits::request_limits,
        security_headers::security_headers,
        session_cookie::{SessionCookie, session_cookie},
        stopping::stopping,
        trusted_proxies::trusted_proxies,
    },
    pages::{assets, health, logout, notice, visits, welcome},
    server::{Readiness, connections::at_work},
    telemetry,
    users::VisitCounter,
};

/// What the application works with; cheap to clone, and shared by all workers. What a worker has to itself it makes in
/// [`app`].
#[derive(Clone)]
pub struct Dependencies {
    /// The configuration that it was started with.
    pub config: Data<Config>,
    /// The database.
    pub pool: Data<PgPool>,
    /// Whether it can serve pages.
    pub readiness: Data<Readiness>,
    /// What a session's cookie is.
    pub cookie: Data<SessionCookie>,
    new_sessions: Data<NewSessions>,
}

impl Dependencies {
    /// Over the database of `pool`, whose schema may come later ([`crate::database::migrate`]).
    ///
    /// # Errors
    /// The session's secret can't be read or made.
    pub fn new(config: Config, pool: PgPool) -> anyhow::Result<Self> {
        let keys = config.session_secret.keys()?;
        Ok(Self {
            cookie: Data::new(SessionCookie::new(config.cookie_secure, keys)),
            new_sessions: Data::new(NewSessions::new(config.new_sessions_per_minute)),
            readiness: Data::default(),
            pool: Data::new(pool),
            config: Data::new(config),
        })
    }

    /// A store of the sessions, with batchers of its own: for one worker, within its Tokio runtime.
    pub fn new_store(&self) -> PgSessionStore {
        PgSessionStore::new((**self.pool).clone())
            .idle_timeout(duration(self.config.session_idle_timeout))
            .max_age(duration(self.config.session_max_age))
    }
}

/// As actix-session counts time.
fn duration(time: std::time::Duration) -> Duration {
    Duration::try_from(time).unwrap_or(Duration::MAX)
}

/// The application, for one worker. Its batchers are its own, on its own thread: an answer of the database need not wake
/// another.
pub fn app(
    dependencies: &Dependencies,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let store = dependencies.new_store();
    // The last one wrapped is the first that a request meets: read upwards.
    App::new()
        .app_data(dependencies.config.clone())
        .app_data(dependencies.pool.clone())
        .app_data(Data::new(VisitCounter::new(&dependencies.pool)))
        .app_data(Data::new(store.clone()))
        .app_data(dependencies.cookie.clone())
        .app_data(dependencies.new_sessions.clone())
        .app_data(dependencies.readiness.clone())
        .configure(|routes| route_table(routes, dependencies, &store))
        // Before anything works for a request that is too large, or waits for one that is too slow.
        .wrap(from_fn(request_limits))
        // Round everything that may fail, so that every failure is a page.
        .wrap(from_fn(error_pages))
        // Round the error pages, which need them as much.
        .wrap(from_fn(security_headers))
        // Before all that asks who the client is, or by which name it calls us.
        .wrap(from_fn(trusted_proxies))
        // On every answer while we stop.
        .wrap(from_fn(stopping))
        // Gives the request its id, which all the others' log lines carry.
        .wrap(telemetry::request_log())
        // First: a connection with a request at work is not idle.
        .wrap(from_fn(at_work))
}

/// Every route. A resource answers 405, and names what it takes, to any other method. Only the pages carry a session, so
/// that a static file, a health check or an unknown path never reads one.
fn route_table(routes: &mut web::ServiceConfig, dependencies: &Dependencies, store: &PgSessionStore) {
    let in_session = |page: Resource| {
        page.wrap(session(dependencies, store)).wrap(from_fn(session_cookie)).wrap(from_fn(deadline))
    };
    routes
        .service(
            in_session(get_and_start("/", welcome::get))
                .wrap(from_fn(notice::mark_shown))
                // Round the session, which is saved on the way out: a visit that could not be counted is not logged.
                .wrap(from_fn(welcome::log_visit)),
        )
        .service(in_session(get("/visits", visits::get)))
        .service(in_session(get("/logout", logout::get).route(post(logout::post))))
        .service(get("/health/live", health::live))
        .service(get("/health/ready", health::ready));
    // `/static/…`, a route for each file: a pattern would be a regular expression, tried on all that comes so far down.
    for path in assets::paths() {
        routes.service(get(path, assets::get));
    }
}

/// GET, and HEAD wherever GET is.
fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    web::resource(path).route(web::head().to(handler.clone())).route(web::get().to(handler))
}

/// As [`get`], for a page that starts sessions.
fn get_and_start<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    let start = web::get().to(handler.clone()).wrap(from_fn(new_sessions));
    web::resource(path).route(web::head().to(handler)).route(start)
}

/// POST, from our own pages only. Every route with an unsafe method is made so.
fn post<F, Args>(handler: F) -> Route
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    web::post().to(handler).wrap(from_fn(cross_origin))
}

/// actix-session, told what a session's cookie is. `session_cookie` stands before it and must agree.
pub fn session(dependencies: &Dependencies, store: &PgSessionStore) -> SessionMiddleware<PgSessionStore> {
    let SessionCookie { name, secure, keys } = &**dependencies.cookie;
    let idle_timeout = duration(dependencies.config.session_idle_timeout);
    SessionMiddleware::builder(store.clone(), keys.current().clone())
        .cookie_name((*name).to_owned())
        .cookie_secure(*secure)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Private)
        // No Max-Age: the database says when a session ends, and the browser forgets the cookie when it is closed. The
        // store moves the idle clock when it loads, so that no request needs a second statement for it.
        .session_lifecycle(BrowserSession::default().state_ttl(idle_timeout))
        .build()
}
