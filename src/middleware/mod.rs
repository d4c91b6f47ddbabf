//! The layers between a request and a page. [`crate::app`] lists them in the order that a request passes them.

pub mod connection;
pub mod deadline;
pub mod error_pages;
pub mod origin;
pub mod request_limits;
pub mod request_log;
pub mod security_headers;
pub mod session_cookie;

use actix_web::{
    Error,
    dev::{ResponseHead, ServiceResponse},
};

/// Changes the head of a response, even if it is still an error. An inner layer's error only becomes a response after
/// it has passed through all layers.
fn change_head<B>(
    mut outcome: Result<ServiceResponse<B>, Error>,
    change: impl Fn(&mut ResponseHead) + 'static,
) -> Result<ServiceResponse<B>, Error> {
    match &mut outcome {
        Ok(response) => change(response.response_mut().head_mut()),
        Err(error) => error.add_response_mapper(move |mut response| {
            change(response.head_mut());
            response
        }),
    }
    outcome
}
