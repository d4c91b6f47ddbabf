//! Finds the client behind trusted proxies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Once;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage, HttpRequest, http::header, middleware::Next, web::Data};

use crate::Config;

/// The address of the client, in the extensions of a request.
pub struct ClientAddress(pub IpAddr);

/// Returns the address of the client that sent `request`.
pub fn client_address(request: &HttpRequest) -> IpAddr {
    request.extensions().get().map(|ClientAddress(address)| *address).expect("the layer has run")
}

/// Finds the client. Afterward, `connection_info` can be trusted, because forged headers are gone.
pub async fn client(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    // All connections without an address, such as those over a Unix socket, count as one client.
    let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
    let config = request.app_data::<Data<Config>>().expect("all apps have it").clone();
    if request.headers().contains_key(header::X_FORWARDED_FOR) && !config.trusted_proxies.contains(peer) {
        static WARNING: Once = Once::new();
        WARNING.call_once(|| {
            tracing::warn!(%peer, "ignored X-Forwarded-For, because its sender isn't in TRUSTED_PROXIES. If that is your proxy, all its visitors count as one client");
        });
    }
    let client = config.trusted_proxies.find_client(request.headers_mut(), peer);
    request.extensions_mut().insert(ClientAddress(client));
    next.call(request).await
}
