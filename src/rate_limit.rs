//! Limits how often a client may do something.

use std::hash::{BuildHasher, Hash, RandomState};
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, middleware::StateInformationMiddleware};

/// Counts in memory. The key is a 16-bit hash, so an attack fills at most 65,536 entries. Clients may share an entry.
/// A random seed hides who shares one, but an IPv6 /48 has enough networks to reach most entries.
pub struct Limit {
    limiter: DefaultKeyedRateLimiter<u16, StateInformationMiddleware>,
    seed: RandomState,
}

impl Limit {
    /// Allows `burst` events, and then one every `seconds` seconds.
    pub fn new(burst: u32, seconds: f64) -> Self {
        let quota = Quota::with_period(Duration::from_secs_f64(seconds)).expect("not zero");
        let quota = quota.allow_burst(NonZeroU32::new(burst).expect("not zero"));
        Self { limiter: RateLimiter::keyed(quota).with_middleware(), seed: RandomState::new() }
    }

    /// Counts an event for this key. Returns how many more are allowed, or else the seconds to wait.
    pub fn count(&self, key: impl Hash) -> Result<u32, u64> {
        match self.limiter.check_key(&(self.seed.hash_one(key) as u16)) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(refused) => Err(refused.wait_time_from(DefaultClock::default().now()).as_secs() + 1),
        }
    }
}

/// Returns a client's networks as numbers, smallest first. An IPv6 client can use any address in its /64, and
/// often has a /56 or a /48. For IPv4, all three are the address itself.
pub fn networks(address: IpAddr) -> [u128; 3] {
    match address {
        IpAddr::V6(v6) => [64, 56, 48].map(|bits| v6.to_bits() >> (128 - bits)),
        IpAddr::V4(v4) => [v4.to_bits().into(); 3],
    }
}
