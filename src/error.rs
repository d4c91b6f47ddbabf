//! The errors that handlers return. The visitor sees a page that says what to do, and the log has the cause.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};

/// A failed request. It becomes a response without a body, and [`crate::http::responses`] adds the page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is invalid: 400. The text is for the log.
    #[error("invalid request: {0}")]
    BadRequest(&'static str),
    /// There is nothing at this address: 404.
    #[error("not found")]
    NotFound,
    /// The request conflicts with stored data, such as a name that is taken: 409. The text is for the log.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The client has sent too many requests of this kind: 429. The next one is allowed after this many seconds.
    #[error("too many requests")]
    TooManyRequests(u64),
    /// The database can't be reached or didn't respond in time: 503.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database schema isn't up to date yet: 503.
    #[error("the app is starting")]
    Starting,
    /// The page took longer than its deadline: 503.
    #[error("no response within {0:?}")]
    Timeout(Duration),
    /// Anything else: 500.
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        sqlx_batcher::Error::from(Arc::new(error)).into()
    }
}

impl From<sqlx_batcher::Error> for Error {
    fn from(error: sqlx_batcher::Error) -> Self {
        if error.is_unavailable() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.into())
        }
    }
}

/// For `map_err`: returns `answer` if PostgreSQL refused the statement because of this constraint, as in
/// `insert.await.map_err(on_constraint("accounts_email_key", Error::Conflict("this address is taken")))?`.
pub fn on_constraint(name: &str, answer: Error) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match &error {
        sqlx::Error::Database(database) if database.constraint() == Some(name) => answer,
        _ => error.into(),
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) | Self::Starting | Self::Timeout(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let retry_after = match self {
            Self::TooManyRequests(seconds) => *seconds,
            Self::Unavailable(_) | Self::Starting | Self::Timeout(_) => 5,
            _ => return HttpResponse::new(self.status_code()),
        };
        HttpResponse::build(self.status_code()).insert_header((header::RETRY_AFTER, retry_after)).finish()
    }
}
