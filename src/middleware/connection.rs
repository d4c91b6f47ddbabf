//! Marks a connection as busy during a request, and closes it after the response if the app is stopping.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Data,
};
use idle_connections::Busy;

use super::change_head;
use crate::server::Readiness;

/// Marks the connection as busy, so that the server doesn't close it as idle.
///
/// While the app is stopping, every response also closes its connection. A client that kept it open might send its next
/// request just as the server closes it.
pub async fn connection(
    readiness: Data<Readiness>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let busy = Busy::new(request.request());
    let outcome = change_head(next.call(request).await, move |head| {
        if readiness.is_stopping() {
            head.set_connection_type(ConnectionType::Close);
        }
    });
    Ok(outcome?.map_into_boxed_body().map_body(|_, body| busy.until_sent(body)))
}
