//! A time limit for pages. An unreachable database may not answer at all, and TCP alone would wait for 15 minutes.

use std::time::Duration;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use crate::error;

/// Time limit for an ordinary page, including its session. It is longer than the limits of [`crate::database`] and
/// [`batcher::DEADLINE`], so that an error usually names its cause.
pub const PAGE_DEADLINE: Duration = Duration::from_millis(1_800);

/// Answers 503 if the page isn't ready within `limit`. Its statements may or may not have taken effect.
pub async fn deadline(
    limit: Duration,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match tokio::time::timeout(limit, next.call(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(error::Error::Timeout(limit).into()),
    }
}
