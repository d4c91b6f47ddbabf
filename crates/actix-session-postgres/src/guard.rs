//! Removes outdated session cookies from responses, and corrects the `Max-Age` of new ones.
//!
//! After each change to a session, actix-session sends the cookie again, with the same key. If another request has
//! rotated the key and its response arrived first, the old cookie would replace the browser's new one. A store can't
//! prevent that, because it must return a key. So the store records what it did, and [`Guard`] reads the record.

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
    /// How many `Set-Cookie` headers there were before actix-session's middleware, and what the store did.
    static REQUEST: Cell<(usize, Option<Outcome>)>;
}

/// What the store did with a session. `SameKey` also covers keys without a session.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    SameKey,
    NewKey { remembered: bool, seconds_left: i64 },
    Failed(StoreFailure),
}

/// Records what the store did in this request, if the request has a [`Guard`].
pub(crate) fn note(outcome: Outcome) {
    let _ = REQUEST.try_with(|request| request.set((request.get().0, Some(outcome))));
}

/// Wraps actix-session's middleware, so that responses never replace the browser's key with an outdated one.
///
/// - A response sets the session cookie only if the session's key is new.
/// - If a session is [remembered](crate::LogIn::remember) or a `PersistentSession`, the `Max-Age` of its cookie covers
///   the session's maximum lifetime.
/// - If the store fails, the request fails with a [`StoreFailure`].
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
                REQUEST.scope(Cell::default(), after_session(Service::call(session, request)))
            });
            Ok(boxed::service(session))
        })
    }
}

type Response<B> = Result<ServiceResponse<B>, Error>;

/// Handles the app's response before actix-session's middleware does.
async fn before_session<B>(response: impl Future<Output = Response<B>>) -> Response<B> {
    let response = response.await;
    let cookies = response.as_ref().map_or(0, |response| response.headers().get_all(SET_COOKIE).count());
    // Forgets the handler's own calls to the store, which don't affect this session's cookie.
    let _ = REQUEST.try_with(|request| request.set((cookies, None)));
    response
}

/// Handles the response of actix-session's middleware.
async fn after_session<B>(response: impl Future<Output = Response<B>>) -> Response<B> {
    let response = response.await;
    let (before, outcome) = REQUEST.with(Cell::get);
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
    let added = headers.get_all(SET_COOKIE).nth(before).and_then(|cookie| cookie.to_str().ok());
    let Some(added) = added else { return };
    let mended = match outcome {
        Outcome::SameKey | Outcome::Failed(_) => None,
        Outcome::NewKey { remembered: false, .. } if !added.contains("; Max-Age=") => return,
        Outcome::NewKey { seconds_left, .. } => {
            // actix-session encodes the value, so it doesn't contain a semicolon.
            let parts: Vec<_> = added.split("; ").filter(|part| !part.starts_with("Max-Age=")).collect();
            HeaderValue::from_str(&format!("{}; Max-Age={}", parts.join("; "), seconds_left.max(0))).ok()
        }
    };
    let cookies: Vec<_> = headers.remove(SET_COOKIE).take(before).chain(mended).collect();
    cookies.into_iter().for_each(|cookie| headers.append(SET_COOKIE, cookie));
}
