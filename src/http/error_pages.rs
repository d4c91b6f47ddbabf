//! Turns every failure into a page: errors of handlers and extractors, failures of the session store, and panics.

use std::panic::AssertUnwindSafe;

use actix_session_postgres::StoreFailure;
use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
};
use anyhow::anyhow;
use futures_util::FutureExt;
use tracing_actix_web::RequestId;

use crate::{
    error,
    view::{CONTENT_TYPE, error_page::ErrorPage},
};

/// Logs each failure and turns it into a page. An error response that a handler builds itself keeps its body.
pub async fn error_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let request_id = request.extensions().get::<RequestId>().copied();
    // Without `catch_unwind`, a panic would close the connection.
    let mut error = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let (request, response) = response.map_into_boxed_body().into_parts();
            if let Some(error) = response.error() {
                log(response.status(), error);
            }
            let response = if needs_page(&response) { with_page(response, request_id) } else { response };
            return Ok(ServiceResponse::new(request, response));
        }
        Ok(Err(error)) => {
            // The store has already logged its failure.
            if error.as_error::<StoreFailure>().is_none() {
                log(error.as_response_error().status_code(), &error);
            }
            error
        }
        // The panic hook has already logged it.
        Err(_panic) => error::Error::Internal(anyhow!("a panic")).into(),
    };
    error.add_response_mapper(move |response| with_page(response, request_id));
    Err(error)
}

/// Returns whether a response needs an error page. For invalid forms, queries and JSON, actix-web's extractors only
/// return plain text.
fn needs_page(response: &HttpResponse) -> bool {
    let is_failure = response.status().is_client_error() || response.status().is_server_error();
    let is_empty = matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    is_failure && (is_empty || response.error().is_some())
}

fn with_page(mut response: HttpResponse, request_id: Option<RequestId>) -> HttpResponse {
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    let page = ErrorPage::new(response.status(), request_id);
    response.set_body(BoxBody::new(page.to_html()))
}

/// Logs a failure once, with its cause. The span adds the request's ID.
fn log(status: StatusCode, error: &Error) {
    // Not `Debug`, because PostgreSQL's details quote the row.
    if status.is_server_error() {
        tracing::error!(status = status.as_u16(), %error, "the request failed");
    } else {
        tracing::debug!(status = status.as_u16(), %error, "the request was refused");
    }
}
