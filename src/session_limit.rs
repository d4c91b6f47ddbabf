//! Limits how many sessions one client may start, so that a crawler without cookies can't fill the table.

use std::hash::{BuildHasher, RandomState};
use std::{net::IpAddr, num::NonZeroU32};

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Error, http::client::ClientAddress};

const EXPERIMENTS_PER_MINUTE: Quota = Quota::per_minute(NonZeroU32::new(10).expect("not zero"));

/// Counts new sessions and experiments per client. All workers share it.
pub struct SessionLimit {
    /// The key is a 16-bit hash, so there are at most 65,536 entries, no matter how many addresses an attack uses. Two
    /// networks may share an entry. The seed is random, so an attacker can't choose whose entry to share, but an IPv6
    /// /48 has enough networks to reach most entries.
    limiter: Option<DefaultKeyedRateLimiter<u16>>,
    experiments: DefaultKeyedRateLimiter<u16>,
    /// Held by the running experiment.
    experiment: Semaphore,
    seed: RandomState,
}

impl SessionLimit {
    /// Allows each client `per_minute` new sessions per minute, or any number with `None`.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        let limiter = per_minute.map(|n| RateLimiter::keyed(Quota::per_minute(n)));
        let experiments = RateLimiter::keyed(EXPERIMENTS_PER_MINUTE);
        Self { limiter, experiments, experiment: Semaphore::new(1), seed: RandomState::new() }
    }

    /// Counts one more session for the client of `request`, or returns [`Error::TooManyRequests`].
    pub fn check(&self, request: &HttpRequest) -> Result<(), Error> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        self.count(limiter, request).inspect_err(|_| {
            metrics::counter!("sessions_refused_total").increment(1);
            let client = ClientAddress::of(request).0;
            tracing::warn!(%client, "refused a new session: this client has started too many");
        })
    }

    /// Counts an experiment for the client of `request`, or returns [`Error::TooManyRequests`]. Waits until no other
    /// experiment is running, because one takes as long as many visits. The next one starts when the permit is dropped.
    pub async fn experiment(&self, request: &HttpRequest) -> Result<SemaphorePermit<'_>, Error> {
        self.count(&self.experiments, request)?;
        Ok(self.experiment.acquire().await.expect("the semaphore is never closed"))
    }

    fn count(&self, limiter: &DefaultKeyedRateLimiter<u16>, request: &HttpRequest) -> Result<(), Error> {
        // An IPv6 client can use any address in its /64 network.
        let client = match ClientAddress::of(request).0 {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address => address,
        };
        limiter.check_key(&(self.seed.hash_one(client) as u16)).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Error::TooManyRequests { retry_after: wait.as_secs() + 1 }
        })
    }
}
