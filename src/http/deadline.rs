//! A time limit for pages. An unreachable database may not answer at all, and TCP alone would wait for 15 minutes.

use std::time::Duration;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use crate::{error, readiness::Readiness};

/// Returns 503 if the page isn't ready within `limit`, or if the schema isn't up to date yet. After the limit, its
/// statements may or may not have taken effect.
pub async fn deadline(
    limit: Duration,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.app_data::<Data<Readiness>>().expect("all apps have it").is_migrated() {
        // The statements may not fit the schema.
        return Err(error::Error::Starting.into());
    }
    match tokio::time::timeout(limit, next.call(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(error::Error::Timeout(limit).into()),
    }
}
