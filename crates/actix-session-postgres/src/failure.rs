//! How a store failure affects the response.

use std::{error::Error, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header::RETRY_AFTER},
};

/// The error if a session can't be loaded or saved. The store has logged the cause.
///
/// With a [`guard`](crate::guard()), the request fails with this error. The response has no body. Its status
/// is 503 with `Retry-After` if the database is unavailable, and 500 otherwise.
#[derive(Clone, Copy, Debug)]
pub struct StoreFailure {
    is_unavailable: bool,
}

impl StoreFailure {
    /// Classifies the cause of a failure.
    pub(crate) fn of(cause: &anyhow::Error) -> Self {
        let is_unavailable = cause.chain().any(|cause| unavailable(cause).unwrap_or(false));
        Self { is_unavailable }
    }
}

fn unavailable(cause: &(dyn Error + 'static)) -> Option<bool> {
    let error = cause.downcast_ref().map(sqlx_batcher::Error::is_unavailable);
    error.or_else(|| cause.downcast_ref().map(sqlx_batcher::is_unavailable))
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session store failed")
    }
}

impl Error for StoreFailure {}

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
