//! What a handler may fail with. The visitor sees a page that says what to do, never the cause; the log has the cause.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};

use crate::batch::BatchError;

/// A failed request. Turned into a response without a body, which [`crate::middleware::error_pages`] fills: one place
/// makes every error page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not in time, or not with what it should: 503, try again.
    #[error("the database failed")]
    Database(#[source] BatchError),
    /// The page took too long, which the database's silence alone can explain: 503, try again.
    #[error("no answer within {0:?}")]
    Overdue(Duration),
    /// All else that should not happen: 500, opaque.
    #[error("something unexpected")]
    Internal(#[from] anyhow::Error),
}

/// Seconds after which a client may try again when the database is away.
pub const RETRY_AFTER_SECONDS: u32 = 5;

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Database(_) | Self::Overdue(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        response.finish()
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        match error {
            // Our own fault, not the database's.
            BatchError::Panicked => Self::Internal(error.into()),
            error => Self::Database(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error).into())
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Internal(anyhow::Error::new(error).context("render a page"))
    }
}

impl From<actix_session::SessionInsertError> for Error {
    fn from(error: actix_session::SessionInsertError) -> Self {
        Self::Internal(anyhow::Error::new(error).context("write to the session"))
    }
}
