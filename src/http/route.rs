//! Routes for GET and HEAD.

use actix_web::{FromRequest, Handler, Resource, Responder, web};

/// Returns a route for GET and HEAD.
pub fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output: Responder + 'static>,
    Args: FromRequest + 'static,
{
    web::resource(path).route(web::head().to(handler.clone())).route(web::get().to(handler))
}
