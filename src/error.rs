//! The errors that handlers return. The visitor sees a page that says what to do, and the log has the cause.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use sqlx_batcher::is_unavailable;

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
    /// The client has sent too many requests of this kind: 429.
    #[error("too many requests")]
    TooManyRequests {
        /// Seconds until the next request is allowed.
        retry_after: u64,
    },
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
        if is_unavailable(&error) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.into())
        }
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

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Internal(anyhow::Error::from(error).context("render a page"))
    }
}

/// Turns the violation of a named constraint into an [`Error`] for the visitor.
pub trait OnConstraint<T> {
    /// Returns `answer` if PostgreSQL refused the statement because of this constraint.
    ///
    /// ```
    /// # async fn rename(pool: &sqlx::PgPool) -> Result<(), app::Error> {
    /// use app::error::{Error, OnConstraint};
    ///
    /// let rename = sqlx::query("update accounts set email = 'ann@example.org'").execute(pool).await;
    /// rename.on_constraint("accounts_email_key", Error::Conflict("this address is taken"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns `answer`, or the statement's own error.
    fn on_constraint(self, name: &str, answer: Error) -> Result<T, Error>;
}

impl<T> OnConstraint<T> for sqlx::Result<T> {
    fn on_constraint(self, name: &str, answer: Error) -> Result<T, Error> {
        self.map_err(|error| match &error {
            sqlx::Error::Database(database) if database.constraint() == Some(name) => answer,
            _ => error.into(),
        })
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) | Self::Starting | Self::Timeout(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::TooManyRequests { retry_after } = self {
            response.insert_header((header::RETRY_AFTER, *retry_after));
        } else if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, 5));
        }
        response.finish()
    }
}
