//! How a store failure affects the response.

use actix_web::http::{StatusCode, header::RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

/// The error of a request with a [`guard`](crate::guard()) whose session can't be loaded or saved. The store logs why.
/// The response has no body. Its status is 503 with `Retry-After` if the database is unavailable, and 500 otherwise.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the session store failed")]
pub struct StoreFailure(StatusCode);

impl StoreFailure {
    pub(crate) fn of(cause: &anyhow::Error) -> Self {
        let is_unavailable = cause.chain().any(|cause| {
            cause.downcast_ref().is_some_and(sqlx_batcher::Error::is_unavailable)
                || cause.downcast_ref().is_some_and(sqlx_batcher::is_unavailable)
        });
        Self(if is_unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR })
    }
}

impl ResponseError for StoreFailure {
    fn status_code(&self) -> StatusCode {
        self.0
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0);
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, 5));
        }
        response.finish()
    }
}
