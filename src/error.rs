//! The errors that handlers return. The visitor sees a page that says what to do, and the log has the cause.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};

/// A failed request. It becomes a response without a body, and [`crate::middleware::error_pages`] adds the page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client has started too many sessions: 429.
    #[error("too many new sessions")]
    TooManySessions {
        /// Seconds until the client may start another one.
        retry_after: u64,
    },
    /// The database can't be reached, didn't answer in time, or refused a statement: 503.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx_batcher::Error),
    /// The session can't be loaded or saved. The store has logged the cause: 503.
    #[error("the session store failed")]
    SessionStore,
    /// The database schema isn't up to date yet: 503.
    #[error("the app is starting")]
    Starting,
    /// The page took longer than its deadline: 503.
    #[error("no response within {0:?}")]
    Timeout(Duration),
    /// A template can't be rendered: 500.
    #[error("can't render the page: {0}")]
    Template(#[from] askama::Error),
    /// Anything else: 500.
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error).into())
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::TooManySessions { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Template(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::TooManySessions { retry_after } = self {
            response.insert_header((header::RETRY_AFTER, *retry_after));
        } else if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, 5));
        }
        response.finish()
    }
}
