//! Makes a page of every error: of a response without a body, of a failed session store, of a panic.

use std::panic::AssertUnwindSafe;

use actix_session::storage::{LoadError, SaveError, UpdateError};
use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header},
    middleware::Next,
};
use futures_util::FutureExt;
use tracing_actix_web::RequestId;

use crate::{
    error::RETRY_AFTER_SECONDS,
    pages::error::{self, ErrorPage},
};

/// Fills responses that say that something went wrong and nothing else. A response with a body of its own is left as it
/// is.
///
/// # Errors
/// Those of the request, with the page on the response that they become.
pub async fn error_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request.extensions().get::<RequestId>().map(RequestId::to_string).unwrap_or_default();
    // A panic would end the connection, and the visitor would see nothing. The hook in `telemetry` has logged it.
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => Ok(fill(response.map_into_boxed_body(), &id)),
        Ok(Err(error)) => Err(failed(error, id)),
        Err(_panic) => Err(answer(StatusCode::INTERNAL_SERVER_ERROR, &id)),
    }
}

fn fill(mut response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let empty = matches!(response.response().body().size(), BodySize::None | BodySize::Sized(0));
    if !empty || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    if let Some(error) = response.response().error() {
        log(status, error);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, error::CONTENT_TYPE);
    response.map_body(|_, _| BoxBody::new(ErrorPage::new(status, id).to_html()))
}

/// A failure of a middleware, which does not pass as a response. The session's is one of these: actix-session answers
/// 500 without a body where its store fails.
fn failed(error: Error, id: String) -> Error {
    if let Some(status) = session_failure(&error) {
        return answer(status, &id);
    }
    let status = error.as_response_error().status_code();
    log(status, &error);
    answer(status, &id)
}

/// The status for a store's failure, which the store has logged: 503, but for a state that can't be written, which no
/// second try would mend.
fn session_failure(error: &Error) -> Option<StatusCode> {
    let unwritable = error
        .as_error::<InternalError<SaveError>>()
        .map(|e| format!("{e:?}"))
        .or_else(|| error.as_error::<InternalError<UpdateError>>().map(|e| format!("{e:?}")))
        .map(|cause| cause.contains("Serialization"));
    let failed = error.as_error::<InternalError<LoadError>>().is_some()
        || error.as_error::<InternalError<anyhow::Error>>().is_some();
    match unwritable {
        Some(true) => Some(StatusCode::INTERNAL_SERVER_ERROR),
        Some(false) => Some(StatusCode::SERVICE_UNAVAILABLE),
        None => failed.then_some(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn answer(status: StatusCode, id: &str) -> Error {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, error::CONTENT_TYPE));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
    }
    let page = response.body(ErrorPage::new(status, id).to_html());
    InternalError::from_response(status, page).into()
}

/// Logged here, once: with the request's id, which the span adds, and with every cause.
fn log(status: StatusCode, error: &Error) {
    let status = status.as_u16();
    if status >= 500 {
        tracing::error!(status, ?error, "the request failed");
    } else {
        tracing::debug!(status, %error, "the request was refused");
    }
}
