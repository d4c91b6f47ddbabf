//! A time limit for pages. An unreachable database may not answer at all, and TCP alone would wait for 15 minutes.

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use crate::{error, server::Readiness};

/// Time limit for an ordinary page, including its session. It is longer than the limits of [`crate::database`] and
/// [`sqlx_batcher::DEADLINE`], so that an error usually names its cause.
pub const PAGE_DEADLINE: Duration = Duration::from_millis(1_800);

/// Answers 503 if the page isn't ready within `limit`, or if the schema isn't up to date yet. After the limit, its
/// statements may or may not have taken effect.
pub async fn deadline(
    limit: Duration,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let readiness = request.app_data::<Data<Readiness>>().expect("all apps have it");
    if !readiness.migrated.load(Ordering::Relaxed) {
        // The statements may not fit the schema.
        return Err(error::Error::Starting.into());
    }
    match tokio::time::timeout(limit, next.call(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(error::Error::Timeout(limit).into()),
    }
}
