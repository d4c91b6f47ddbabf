//! Makes a page of every error: of a response without a body, of a failed session store, of a panic.

use std::panic::AssertUnwindSafe;

use actix_session::storage::{SaveError, UpdateError};
use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
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
    let id = request.extensions().get::<RequestId>().copied();
    // A panic would end the connection, and the visitor would see nothing. The hook in `telemetry` has logged it.
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => Ok(fill(response.map_into_boxed_body(), id)),
        Ok(Err(error)) => Err(Failed { status: status_of(&error), request_id: id }.into()),
        Err(_panic) => Err(Failed { status: StatusCode::INTERNAL_SERVER_ERROR, request_id: id }.into()),
    }
}

fn fill(mut response: ServiceResponse<BoxBody>, id: Option<RequestId>) -> ServiceResponse<BoxBody> {
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

/// The status for a failure of a middleware, which does not pass as a response. The session's is one of these:
/// actix-session answers 500 without a body where its store fails.
fn status_of(error: &Error) -> StatusCode {
    session_failure(error).unwrap_or_else(|| {
        let status = error.as_response_error().status_code();
        log(status, error);
        status
    })
}

/// The status for a store's failure, which the store has logged: 503, but for a state that can't be written, which no
/// second try would mend. actix-session wraps what `load` and `delete` fail with in an [`anyhow::Error`].
fn session_failure(error: &Error) -> Option<StatusCode> {
    let cause = error
        .as_error::<InternalError<SaveError>>()
        .map(|error| format!("{error:?}"))
        .or_else(|| error.as_error::<InternalError<UpdateError>>().map(|error| format!("{error:?}")))
        .or_else(|| error.as_error::<InternalError<anyhow::Error>>().map(|_| String::new()))?;
    // The variant's name comes first; `InternalError` shows its cause in no other way.
    Some(match cause.starts_with("Serialization") {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::SERVICE_UNAVAILABLE,
    })
}

/// An error page on its way out. A type of its own, because `InternalError` gives its response away once only, and the
/// log asks for the status too.
#[derive(Debug, thiserror::Error)]
#[error("{status}")]
struct Failed {
    status: StatusCode,
    request_id: Option<RequestId>,
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, error::CONTENT_TYPE));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        response.body(ErrorPage::new(self.status, self.request_id).to_html())
    }
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
