//! The route table, and the layers that a request passes through on its way to a page.

use actix_session_postgres::{PgSessionStore, guard};
use actix_web::dev::{HttpServiceFactory, ServiceFactory};
use actix_web::dev::{ServiceRequest as Request, ServiceResponse as Response};
use actix_web::middleware::{Compat, Condition, from_fn};
use actix_web::web::{self, Data, FormConfig, JsonConfig, PayloadConfig, ServiceConfig};
use actix_web::{App, Error, Resource};
use sqlx::PgPool;
use tracing_actix_web::TracingLogger;

use crate::accounts; // accounts
use crate::http::{client, get, page, request_limits, request_log::RequestLog, responses};
use crate::limits::{MAX_BODY_BYTES, PAGE_DEADLINE};
use crate::{Config, metrics::measure, pages, readiness::Readiness, session, view::assets};
use crate::{session_limit::SessionLimit, visitors::VisitCounter}; // demo

/// Adds every route. Only pages have a session, a deadline and protection against cross-site requests. Other routes,
/// such as a health check or a webhook, never see a cookie.
pub fn routes(config: &mut ServiceConfig, pages: &Pages) {
    config
        .service(pages.page(get("/", pages::welcome::get)))
        .service(pages.page(get("/visits", pages::visits::get))) // demo
        .service(pages.page(get("/logout", pages::logout::get).route(web::post().to(pages::logout::post))))
        .service(get("/health/live", pages::health::live))
        .service(get("/health/ready", pages::health::ready))
        .configure(assets::routes);
    accounts::routes(config, |route| pages.slow_page(route, accounts::passwords::DEADLINE)); // accounts
    // demo: begin
    if pages.dependencies.config.experiments {
        let post = web::resource("/experiments/{name}").route(web::post().to(pages::experiments::post));
        config.service(pages.page(get("/experiments", pages::experiments::get))).service(pages.page(post));
    }
    // demo: end
}

/// Creates the app for one worker. It has its own batchers, so that a result never has to wake another thread.
pub fn build(
    dependencies: &Dependencies,
    routes: &dyn Fn(&mut ServiceConfig, &Pages),
) -> App<impl ServiceFactory<Request, Config = (), Response = Response, Error = Error, InitError = ()> + use<>>
{
    let config = &dependencies.config;
    let store = session::store(config, &dependencies.pool);
    App::new()
        .app_data(PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(FormConfig::default().limit(MAX_BODY_BYTES))
        .app_data(JsonConfig::default().limit(MAX_BODY_BYTES))
        .app_data(dependencies.config.clone())
        .app_data(dependencies.pool.clone())
        .app_data(dependencies.readiness.clone())
        .app_data(dependencies.session_limit.clone()) // demo
        .app_data(dependencies.accounts.clone()) // accounts
        .app_data(Data::new(VisitCounter::new(&dependencies.pool, config.session_max_age))) // demo
        .app_data(Data::new(store.clone()))
        .configure(|services| routes(services, &Pages { dependencies, store }))
        // A request passes through these layers from the last to the first.
        .wrap(from_fn(client::client))
        // Runs before any work is done for a request that is too large or too slow.
        .wrap(from_fn(request_limits::request_limits))
        // Runs outside everything that can fail, because it turns failures into pages.
        .wrap(from_fn(responses::responses))
        .wrap(Condition::new(config.metrics_address.is_some(), from_fn(measure)))
        // Runs first, because it gives the request the ID that is in every log line of the other layers.
        .wrap(Compat::new(TracingLogger::<RequestLog>::new()))
}

/// What a route needs to become a page.
pub struct Pages<'a> {
    dependencies: &'a Dependencies,
    store: PgSessionStore,
}

impl Pages<'_> {
    /// Turns a route into a page.
    pub fn page(&self, route: Resource) -> impl HttpServiceFactory + use<> {
        self.slow_page(route, PAGE_DEADLINE)
    }

    /// Like [`Pages::page`], but with a different deadline.
    pub fn slow_page(&self, route: Resource, limit: std::time::Duration) -> impl HttpServiceFactory + use<> {
        route
            // Loads the session, and saves it when the handler is done.
            .wrap(guard(session::middleware(&self.dependencies.config, self.store.clone())))
            // Runs outside the session layer, which waits for the database and takes the first cookie.
            .wrap(from_fn(move |request, next| page::page(limit, request, next)))
    }
}

/// What the app needs to run. All workers share it, and it is cheap to clone.
#[derive(Clone)]
pub struct Dependencies {
    pub(crate) config: Data<Config>,
    /// The connections for statements that aren't batched.
    pub pool: Data<PgPool>,
    /// Whether the app can serve pages.
    pub readiness: Data<Readiness>,
    session_limit: Data<SessionLimit>,  // demo
    accounts: Data<accounts::Accounts>, // accounts
}

impl Dependencies {
    /// Creates the dependencies. The database doesn't need a schema yet.
    pub fn new(config: Config, pool: PgPool) -> Self {
        Self {
            accounts: Data::default(), // accounts
            session_limit: Data::new(SessionLimit::new(config.new_sessions_per_minute)), // demo
            readiness: Data::new(Readiness::new(&pool.connect_options())),
            pool: Data::new(pool),
            config: Data::new(config),
        }
    }
}
