//! How a store failure affects the response.

use actix_web::http::{StatusCode, header::RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

/// The error when a session can't be loaded or saved. The store has already logged the cause.
///
/// With a [`guard`](crate::guard()), the request fails with this error. The response has no body. Its status
/// is 503 with `Retry-After` if the database is unavailable, and 500 otherwise.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the session store failed")]
pub struct StoreFailure {
    is_unavailable: bool,
}

impl StoreFailure {
    /// Classifies a failure by its cause.
    pub(crate) fn of(cause: &anyhow::Error) -> Self {
        let is_unavailable = cause.chain().any(|cause| {
            cause.downcast_ref().is_some_and(sqlx_batcher::Error::is_unavailable)
                || cause.downcast_ref().is_some_and(sqlx_batcher::is_unavailable)
        });
        Self { is_unavailable }
    }
}

impl ResponseError for StoreFailure {
    fn status_code(&self) -> StatusCode {
        if self.is_unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if self.is_unavailable {
            response.insert_header((RETRY_AFTER, 5));
        }
        response.finish()
    }
}
