//! The longest time that a page may take. A database that can't be reached doesn't answer at all, and TCP alone would wait
//! for about 15 minutes.

use std::time::Duration;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use crate::error;

/// Time limit of an ordinary page, its session included. It is longer than the limits of [`crate::database`] and
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
