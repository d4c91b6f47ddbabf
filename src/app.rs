//! The route table, and the layers that a request passes through on its way to a page.

use actix_web::{
    App, Error, FromRequest, Handler, Resource, Responder,
    body::MessageBody,
    cookie::time::Duration,
    dev::{HttpServiceFactory, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::{Condition, from_fn},
    web::{self, Data, PayloadConfig, ServiceConfig},
};
use sqlx::PgPool;

use crate::{
    Config, PgSessionStore,
    middleware::{
        deadline::{PAGE_DEADLINE, deadline},
        error_pages::error_pages,
        origin::origin,
        request_log::request_log,
        security_headers::security_headers,
        session_cookie::{SessionCookie, session_cookie},
    },
    pages::{assets, experiments, health, logout, visits, welcome},
    server::{MAX_BODY_BYTES, REQUEST_LIMITS, Readiness},
    session_limit::SessionLimit,
    visitors::VisitCounter,
};

/// Adds every route. A route that supports GET also supports HEAD. It answers 405 to all other methods.
pub fn routes(config: &mut ServiceConfig, pages: &Pages) {
    config
        .service(pages.page(get("/", welcome::get), PAGE_DEADLINE))
        .service(pages.page(get("/visits", visits::get), PAGE_DEADLINE))
        .service(pages.page(get("/logout", logout::get).route(web::post().to(logout::post)), PAGE_DEADLINE))
        .service(get("/health/live", health::live))
        .service(get("/health/ready", health::ready))
        .configure(assets::routes);
    if pages.dependencies.config.experiments {
        config.service(pages.page(get("/experiments", experiments::get), PAGE_DEADLINE)).service(pages.page(
            web::resource("/experiments/{name}").route(web::post().to(experiments::post)),
            PAGE_DEADLINE,
        ));
    }
}

/// Wraps a service in layers. A request passes through them in this order.
macro_rules! layers {
    ($service:expr;) => { $service };
    ($service:expr; $first:expr, $($rest:expr,)*) => { layers!($service; $($rest,)*).wrap($first) };
}

/// Creates the app for one worker with the given routes, such as [`routes`].
///
/// Each worker has its own session store and visit counter, so that a result never has to wake another thread.
pub fn build(
    dependencies: &Dependencies,
    routes: &dyn Fn(&mut ServiceConfig, &Pages),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let config = &dependencies.config;
    let store = PgSessionStore::new((**dependencies.pool).clone())
        .idle_timeout(duration(config.session_idle_timeout))
        .max_age(duration(config.session_max_age));
    let app = App::new()
        .app_data(PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(dependencies.config.clone())
        .app_data(dependencies.pool.clone())
        .app_data(dependencies.readiness.clone())
        .app_data(dependencies.cookie.clone())
        .app_data(dependencies.session_limit.clone())
        .app_data(Data::new(VisitCounter::new(&dependencies.pool)))
        .app_data(Data::new(store.clone()))
        .configure(|config| routes(config, &Pages { dependencies, store }));
    layers! { app;
        // First, because it gives the request its ID, which is part of every log line of the other layers.
        request_log(),
        // Outside the error pages, so that metrics see their status and they get the headers.
        Condition::new(config.metrics_address.is_some(), from_fn(metrics_server::measure)),
        from_fn(security_headers),
        // Outside everything that can fail.
        from_fn(error_pages),
        // Before any work is done for a request that is too large or too slow.
        from_fn(|request, next| http_server::limit_request(&REQUEST_LIMITS, request, next)),
        // Before anything needs the client's address. Protects every route against cross-site requests.
        from_fn(origin),
    }
}

/// Gives the routes of pages what they need: a time limit and the session.
pub struct Pages<'a> {
    dependencies: &'a Dependencies,
    store: PgSessionStore,
}

impl Pages<'_> {
    /// Adds the visitor's session and a time limit to a route. Routes that aren't pages never read a session.
    pub fn page(&self, route: Resource, limit: std::time::Duration) -> impl HttpServiceFactory + use<> {
        let idle_timeout = duration(self.dependencies.config.session_idle_timeout);
        layers! { route;
            // Outside the session, which waits for the database.
            from_fn(move |request, next| deadline(limit, request, next)),
            // Before actix-session, which takes the first cookie with its name.
            from_fn(session_cookie),
            // Loads the session, and saves it when the handler is done.
            self.dependencies.cookie.middleware(self.store.clone(), idle_timeout),
        }
    }
}

/// Returns a route for GET and HEAD.
pub fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    web::resource(path).route(web::head().to(handler.clone())).route(web::get().to(handler))
}

/// What the app needs to run. All workers share it, and it is cheap to clone.
#[derive(Clone)]
pub struct Dependencies {
    pub(crate) config: Data<Config>,
    pub(crate) pool: Data<PgPool>,
    /// Whether the app can serve pages.
    pub readiness: Data<Readiness>,
    cookie: Data<SessionCookie>,
    session_limit: Data<SessionLimit>,
}

impl Dependencies {
    /// Creates the dependencies. The database doesn't need a schema yet ([`crate::database::migrate`] creates it).
    pub fn new(config: Config, pool: PgPool) -> Self {
        Self {
            cookie: Data::new(SessionCookie::new(config.cookie_secure, config.session_secret.clone())),
            session_limit: Data::new(SessionLimit::new(config.new_sessions_per_minute)),
            readiness: Data::default(),
            pool: Data::new(pool),
            config: Data::new(config),
        }
    }
}

/// Converts to actix-session's type.
fn duration(time: std::time::Duration) -> Duration {
    Duration::try_from(time).unwrap_or(Duration::MAX)
}
