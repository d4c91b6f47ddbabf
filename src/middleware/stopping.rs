//! Sends the clients elsewhere while the application stops.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Data,
};

use crate::server::Readiness;

/// Every answer that is given after the signal to stop ends its connection: a client that keeps it would send its next
/// request just when we close. It connects anew instead, and by then a load balancer has taken us out.
///
/// # Errors
/// Those of the request, with the connection ended by the response that they become.
pub async fn stopping(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let readiness = request.app_data::<Data<Readiness>>().cloned();
    let is_stopping = move || readiness.as_ref().is_some_and(|readiness| readiness.is_stopping());
    match next.call(request).await {
        Ok(mut response) => {
            if is_stopping() {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                if is_stopping() {
                    response.head_mut().set_connection_type(ConnectionType::Close);
                }
                response
            });
            Err(error)
        }
    }
}
