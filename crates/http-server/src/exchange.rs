//! A request and its response, and what they mean for their connection.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{
    ConnectionType, Method, Payload, Request, Response,
    body::{BodySize, BoxBody, MessageBody},
};
use actix_service::Service;
use actix_web::{Error, dev::ServiceResponse, web::Bytes};
use futures_util::{StreamExt, stream};

use crate::connection::{Connection, State};

/// Passes a request to the app, and keeps its connection busy until the response is complete.
///
/// actix-http also calls this for requests that it had read before a response with `Connection: close`. Those must not be
/// processed (RFC 9112, section 9.6), so they wait until the connection is closed.
pub fn exchange<S, B>(
    mut request: Request,
    app: &S,
) -> impl Future<Output = Result<Response<ExchangeBody>, Error>> + use<S, B>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let connection = request.conn_data::<Rc<Connection>>().expect("every connection has it").clone();
    let is_allowed = !connection.is_last_response();
    // The client promises that this is its last request. What follows must not be processed.
    let is_last = request.head().connection_type() == ConnectionType::Close;
    let payload = request.take_payload();
    // CONNECT and Upgrade turn the rest of the connection into an endless body. The app gets no body.
    let is_tunnel = !matches!(payload, Payload::None)
        && (request.method() == Method::CONNECT || request.head().upgrade());
    let running = is_allowed.then(|| {
        let exchange = Exchange::begin(connection.clone());
        match payload {
            Payload::None => connection.set_state(State::Responding),
            _ if is_tunnel => {}
            payload => *request.payload() = with_end(payload, connection.clone()),
        }
        (exchange, app.call(request))
    });
    async move {
        let Some((exchange, response)) = running else {
            connection.close(State::Closing);
            return std::future::pending().await;
        };
        let mut response = match response.await {
            Ok(response) => Response::from(response).map_into_boxed_body(),
            Err(error) => error.into(),
        };
        if is_last || is_tunnel || connection.is_stopping() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        if response.head().connection_type() == ConnectionType::Close {
            connection.begin_last_response();
        }
        Ok(response.map_body(|_, body| ExchangeBody { body, _exchange: exchange }))
    }
}

/// Stops reading from the connection at the end of this body.
fn with_end(payload: Payload, connection: Rc<Connection>) -> Payload {
    let end = stream::poll_fn(move |_| {
        connection.set_state(State::Responding);
        Poll::Ready(None)
    });
    Payload::Stream { payload: Box::pin(payload.chain(end)) }
}

/// Keeps the connection busy until it is dropped.
struct Exchange(Rc<Connection>);

impl Exchange {
    fn begin(connection: Rc<Connection>) -> Self {
        connection.set_state(State::Receiving);
        Self(connection)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.end_response();
    }
}

/// The body of a response. Actix-http drops it when it has encoded all of it.
pub struct ExchangeBody {
    body: BoxBody,
    _exchange: Exchange,
}

impl MessageBody for ExchangeBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
