//! The layers between a request and a page. [`crate::app`] lists them with their reasons.

pub mod client;
pub mod page;
pub mod request_limits;
pub mod request_log;
pub mod responses;

use actix_web::{FromRequest, Handler, Resource, Responder, web};

/// Returns a route for GET and HEAD.
pub fn get<A: FromRequest + 'static>(path: &str, handler: impl Handler<A, Output: Responder>) -> Resource {
    web::resource(path).route(web::head().to(handler.clone())).route(web::get().to(handler))
}
