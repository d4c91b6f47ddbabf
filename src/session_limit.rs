//! Limits how many sessions one client may start, so that a crawler without cookies can't fill the table.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
};

use actix_web::HttpRequest;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::{Error, http::client::ClientAddress};

/// Counts new sessions per client. All workers share it.
pub struct SessionLimit {
    /// The key is a 16-bit hash, so there are at most 65,536 entries, no matter how many addresses an attack uses. Two
    /// networks may share an entry, but an attacker can't cause that, because the seed is random.
    limiter: Option<DefaultKeyedRateLimiter<u16>>,
    seed: RandomState,
}

impl SessionLimit {
    /// Allows this many new sessions per minute for each client, or any number for `None`.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        let limiter = per_minute.map(|n| RateLimiter::keyed(Quota::per_minute(n)));
        Self { limiter, seed: RandomState::new() }
    }

    /// Counts one more session for the client of `request`, or returns [`Error::TooManyRequests`].
    pub fn check(&self, request: &HttpRequest) -> Result<(), Error> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        // An IPv6 client can use any address in its /64 network.
        let client = match ClientAddress::of(request).0 {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address => address,
        };
        limiter.check_key(&(self.seed.hash_one(client) as u16)).map_err(|refused| {
            metrics::counter!("sessions_refused_total").increment(1);
            tracing::warn!(%client, "refused a new session: this client has started too many");
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Error::TooManyRequests { retry_after: wait.as_secs() + 1 }
        })
    }
}
