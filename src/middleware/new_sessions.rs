//! Limits how many sessions one client may start, so that a crawler without cookies can't fill the table.
//!
//! Only what would start a session counts: whoever has one is never refused, however often they come.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
};

use actix_session::SessionExt;
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Data,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use super::trusted_proxies::ClientAddress;
use crate::pages::is_seen;

type Limiter<C> = RateLimiter<u16, HashMapStateStore<u16>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// How many new sessions each network has had of late. Shared by all workers.
pub struct NewSessions<C: Clock = DefaultClock> {
    /// Keyed by a hash of 16 bits: 65,536 entries at most, from however many addresses an attack comes. Two networks may
    /// share one, which the random seed keeps anybody from arranging.
    limiter: Option<Limiter<C>>,
    clock: C,
    seed: RandomState,
}

impl NewSessions {
    /// Allows so many a minute, all at once or spread; without a number, any.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self::with_clock(per_minute, DefaultClock::default())
    }
}

impl<C: Clock + Clone> NewSessions<C> {
    fn with_clock(per_minute: Option<NonZeroU32>, clock: C) -> Self {
        let limiter =
            per_minute.map(|n| RateLimiter::hashmap_with_clock(Quota::per_minute(n), clock.clone()));
        Self { limiter, clock, seed: RandomState::new() }
    }

    /// Counts one more for `client`, or says in how many seconds there may be one.
    fn start(&self, client: IpAddr) -> Result<(), u64> {
        let key = self.seed.hash_one(network(client)) as u16;
        let checked = self.limiter.as_ref().map_or(Ok(()), |limiter| limiter.check_key(&key));
        checked.map_err(|not_until| not_until.wait_time_from(self.clock.now()).as_secs() + 1)
    }
}

/// What one client has to itself: an IPv4 address, or a /64 of IPv6, from which a client may take any address it likes.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

/// Answers 429 to a visit that would start one session too many. Stands inside the session's middleware, which knows
/// whether there is one.
///
/// # Errors
/// Those of the request.
pub async fn new_sessions(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let limit = request.app_data::<Data<NewSessions>>().expect("app() registers it").clone();
    if request.get_session().entries().is_empty() && is_seen(request.request()) {
        let client = ClientAddress::of(request.request()).0;
        if let Err(seconds) = limit.start(client) {
            tracing::warn!(client = %network(client), "refused a new session: too many from one network");
            let mut response = HttpResponse::TooManyRequests();
            response.insert_header((header::RETRY_AFTER, seconds));
            return Ok(request.into_response(response.finish()));
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(per_minute: u32) -> (NewSessions<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (NewSessions::with_clock(NonZeroU32::new(per_minute), clock.clone()), clock)
    }

    fn start(limit: &NewSessions<FakeRelativeClock>, client: &str) -> Result<(), u64> {
        limit.start(client.parse().expect("an address"))
    }

    #[test]
    fn a_minutes_sessions_may_come_at_once_and_the_next_when_its_time_has_come() {
        let (limit, clock) = limit(6);

        assert!((0..6).all(|_| start(&limit, "203.0.113.9").is_ok()));
        let wait = start(&limit, "203.0.113.9").expect_err("one too many");
        assert!((10..=11).contains(&wait), "{wait}");
        clock.advance(Duration::from_secs(wait));

        assert_eq!(start(&limit, "203.0.113.9"), Ok(()));
        assert!(start(&limit, "203.0.113.9").is_err());
    }

    #[test]
    fn every_ipv4_address_and_every_ipv6_network_counts_for_itself() {
        let (limit, _) = limit(1);

        assert_eq!(start(&limit, "203.0.113.9"), Ok(()));
        assert_eq!(start(&limit, "2001:db8:0:1::1"), Ok(()));

        assert!(start(&limit, "2001:db8:0:1:ffff::2").is_err(), "the same /64");
        let others = (0..50).map(|n| format!("2001:db8:0:{n:x}{n:x}::1"));
        assert!(others.filter(|other| start(&limit, other).is_ok()).count() > 40, "other networks");
    }

    #[test]
    fn its_memory_is_bounded_whoever_comes() {
        let (limit, _) = limit(1);

        for n in 0..200_000_u32 {
            let _ = limit.start(IpAddr::V4(n.into()));
        }

        let entries = limit.limiter.as_ref().map_or(0, RateLimiter::len);
        assert!(entries <= 65_536, "{entries}");
    }

    #[test]
    fn without_a_number_there_is_no_limit() {
        let (limit, _) = limit(0);

        assert!((0..10_000).all(|_| start(&limit, "203.0.113.9").is_ok()));
    }
}
