//! The longest that a page may take. PostgreSQL ends a statement that takes too long (`statement_timeout`), but one that
//! can't be reached any more says nothing, and TCP waits for it for a quarter of an hour.

use std::time::Duration;

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use crate::Error;

/// All of a page: the session, the wait for a connection, the statements. Longer than each of them may take
/// ([`crate::database`], [`crate::batch`]), so that it only decides when nobody answers.
pub const DEADLINE: Duration = Duration::from_millis(1_800);

/// Answers 503 when there is no page by the [`DEADLINE`]. What was under way may have been done or not, as with every
/// lost connection; [`crate::database::pool`] sees to the connection that it leaves.
///
/// # Errors
/// Those of the request.
pub async fn deadline(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    match tokio::time::timeout(DEADLINE, next.call(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Overdue(DEADLINE).into()),
    }
}
