//! Removes outdated session cookies from responses, and corrects the `Max-Age` of new ones.
//!
//! After each change to a session, actix-session's middleware sends the session's cookie again, with the same key. If
//! another request has rotated the key in the meantime and that request's response arrived first, the browser's valid
//! key would be replaced with an invalid one. A store can't prevent that, because it must return a key. So the store
//! records what it did in a task-local value, and [`Guard`] reads that value.

use std::cell::Cell;

use actix_service::apply_fn;
use actix_service::boxed::{self, BoxFuture, BoxService};
use actix_session::SessionMiddleware;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::{Error, body::MessageBody};
use uuid::Uuid;

use crate::{PgSessionStore, StoreFailure, owner::Owner};

tokio::task_local! {
    static REQUEST: Request;
}

/// What happened during a request.
#[derive(Default)]
struct Request {
    /// The number of `Set-Cookie` headers before actix-session's middleware added its own.
    cookies: Cell<usize>,
    outcome: Cell<Option<Outcome>>,
}

/// What the store did with a session.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The browser already has the key, or the key has no session.
    SameKey,
    NewKey {
        remembered: bool,
        seconds_left: i64,
    },
    Failed(StoreFailure),
}

/// Records what the store did in this request, if the request has a [`Guard`].
pub(crate) fn note(outcome: Outcome) {
    let _ = REQUEST.try_with(|request| request.outcome.set(Some(outcome)));
}

/// Wraps actix-session's middleware, so that responses never replace the browser's key with an outdated one.
///
/// - A response sets the session cookie only if the session's key is new.
/// - If a session is [remembered](crate::LogIn::remember) or a `PersistentSession`, the `Max-Age` of its
///   cookie covers the session's maximum lifetime. So the cookie never has to be sent again.
/// - If the store fails, the request fails with a [`StoreFailure`].
///
/// The guard doesn't decrypt cookies or run additional statements.
pub fn guard<O: Owner>(middleware: SessionMiddleware<PgSessionStore<O>>) -> Guard<O> {
    Guard(middleware)
}

/// The middleware that [`guard()`] returns.
#[derive(Clone)]
pub struct Guard<O: Owner = Uuid>(SessionMiddleware<PgSessionStore<O>>);

impl<S, B, O> Transform<S, ServiceRequest> for Guard<O>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
    O: Owner,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = BoxService<ServiceRequest, ServiceResponse<B>, Error>;
    type InitError = ();
    type Future = BoxFuture<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let app = apply_fn(service, |request, service: &S| before_session(service.call(request)));
        let session = self.0.new_transform(app);
        Box::pin(async {
            let session = apply_fn(session.await?, |request, session: &_| {
                REQUEST.scope(Request::default(), after_session(Service::call(session, request)))
            });
            Ok(boxed::service(session))
        })
    }
}

type Response<B> = Result<ServiceResponse<B>, Error>;

/// Handles the app's response before actix-session's middleware does.
async fn before_session<B>(response: impl Future<Output = Response<B>>) -> Response<B> {
    let response = response.await;
    // Forgets the handler's own calls to the store, which don't affect this session's cookie.
    let _ = REQUEST.try_with(|request| request.outcome.set(None));
    let response = response?;
    let cookies = response.headers().get_all(SET_COOKIE).count();
    let _ = REQUEST.try_with(|request| request.cookies.set(cookies));
    Ok(response)
}

/// Handles the response of actix-session's middleware.
async fn after_session<B>(response: impl Future<Output = Response<B>>) -> Response<B> {
    let response = response.await;
    let (before, outcome) = REQUEST.with(|request| (request.cookies.get(), request.outcome.get()));
    let mut response = response.map_err(|error| match outcome {
        // actix-session's error has no cause, and no status for an unavailable database.
        Some(Outcome::Failed(failure)) => failure.into(),
        _ => error,
    })?;
    if let Some(outcome) = outcome {
        mend(response.headers_mut(), before, outcome);
    }
    Ok(response)
}

/// Removes or corrects actix-session's cookie, if there is one. The first `before` cookies are the app's own.
fn mend(headers: &mut HeaderMap, before: usize, outcome: Outcome) {
    let Some(added) = headers.get_all(SET_COOKIE).nth(before) else { return };
    let mended = match outcome {
        Outcome::SameKey | Outcome::Failed(_) => None,
        Outcome::NewKey { remembered, seconds_left } => {
            let Some(mended) = with_max_age(added, remembered, seconds_left) else { return };
            Some(mended)
        }
    };
    let cookies: Vec<_> = headers.get_all(SET_COOKIE).take(before).cloned().chain(mended).collect();
    headers.remove(SET_COOKIE);
    cookies.into_iter().for_each(|cookie| headers.append(SET_COOKIE, cookie));
}

/// Returns the cookie with this `Max-Age`, or `None` if it doesn't need one.
fn with_max_age(cookie: &HeaderValue, remembered: bool, seconds: i64) -> Option<HeaderValue> {
    // The middleware encodes the value, so it doesn't contain a semicolon.
    let cookie = cookie.to_str().ok()?;
    if !remembered && !cookie.contains("; Max-Age=") {
        return None;
    }
    let mut attributes: Vec<_> = cookie.split("; ").filter(|part| !part.starts_with("Max-Age=")).collect();
    let max_age = format!("Max-Age={}", seconds.max(0));
    attributes.push(&max_age);
    HeaderValue::from_str(&attributes.join("; ")).ok()
}
