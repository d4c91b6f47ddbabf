//! Limits how often a client can try a password, but never locks out the owner's known browsers.
//!
//! | client | limit |
//! | --- | --- |
//! | a browser that has logged in to the account before, and a member | 10 attempts, then one per minute |
//! | any other client, on one account | the same, per IPv4 address or IPv6 /56 |
//! | any other client, on all accounts | 30 per minute per address or IPv6 /64, 60 per /56, 120 per /48 |
//! | any other client, on an account with [`FREE_FAILURES`] wrong passwords in a row | 3 attempts, then one per 20 minutes, per address or IPv6 /48, and 30 per hour for all clients together |
//!
//! So a single attacker can use up at most a tenth of the last limit, and never a known browser's limit.

use std::hash::{BuildHasher, Hash, RandomState};
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use uuid::Uuid;

use super::{passwords::RANKS, table::Account};

/// Number of wrong passwords in a row, from any client, after which an account is guarded.
pub const FREE_FAILURES: i32 = 20;

/// Where an attempt comes from.
#[derive(Clone, Copy, Debug)]
pub enum Trier {
    /// A browser that has logged in to this account before, or a member's session, identified by this UUID.
    Known(Uuid),
    /// Any other client.
    Client(IpAddr),
}

/// Counts attempts in memory. All workers share it.
pub struct Attempts {
    known: Limit,
    clients: [Limit; 3],
    pairs: Limit,
    guarded: [Limit; 2],
    /// This never refuses an attempt, but networks that try more often wait longer for a hash.
    lately: RateLimiter<u16, DefaultKeyedStateStore<u16>, DefaultClock, StateInformationMiddleware>,
    seed: RandomState,
}

/// The key is a 16-bit hash, as in [`crate::session_limit`], so that made-up addresses can't fill the memory.
type Limit = DefaultKeyedRateLimiter<u16>;

impl Default for Attempts {
    fn default() -> Self {
        Self {
            known: limit(10, 60.0),
            clients: [limit(30, 2.0), limit(60, 1.0), limit(120, 0.5)],
            pairs: limit(10, 60.0),
            guarded: [limit(3, 20.0 * 60.0), limit(30, 2.0 * 60.0)],
            lately: limit(RANKS as u32 - 2, 10.0 * 60.0).with_middleware(),
            seed: RandomState::new(),
        }
    }
}

/// Allows a burst of `burst` attempts, and then one every `seconds` seconds.
fn limit(burst: u32, seconds: f64) -> Limit {
    let quota = Quota::with_period(Duration::from_secs_f64(seconds)).expect("not zero");
    RateLimiter::keyed(quota.allow_burst(NonZeroU32::new(burst).expect("not zero")))
}

impl Attempts {
    /// Counts an attempt that needs a hash, such as a registration. Returns the hash's rank, below [`RANKS`].
    ///
    /// # Errors
    /// If there were too many attempts, returns the number of seconds to wait.
    pub fn check_client(&self, client: IpAddr) -> Result<usize, u64> {
        let networks = networks(client);
        self.clients.iter().zip(networks).try_for_each(|(limit, network)| self.count(limit, network))?;
        let lately = self.lately.check_key(&self.key(networks[2]));
        Ok(lately.map_or(RANKS - 1, |state| RANKS - 2 - state.remaining_burst_capacity() as usize))
    }

    /// Counts an attempt on the account with this address, which may not exist. Returns the hash's rank.
    ///
    /// # Errors
    /// If there were too many attempts, returns the number of seconds to wait.
    pub fn check(&self, trier: Trier, email: &str, account: Option<&Account>) -> Result<usize, u64> {
        let address = match trier {
            Trier::Known(browser) => return self.count(&self.known, browser).map(|()| 0),
            Trier::Client(address) => address,
        };
        // Counts the client first, so that a refused client can't use up the attempts of others.
        let rank = self.check_client(address)?;
        let [_, network, widest] = networks(address);
        self.count(&self.pairs, (network, email))?;
        if account.is_some_and(|account| account.failures >= FREE_FAILURES) {
            self.count(&self.guarded[0], (widest, email))?;
            self.count(&self.guarded[1], email)?;
        }
        Ok(rank)
    }

    fn key(&self, key: impl Hash) -> u16 {
        self.seed.hash_one(key) as u16
    }

    fn count(&self, limit: &Limit, key: impl Hash) -> Result<(), u64> {
        limit
            .check_key(&self.key(key))
            .map_err(|refused| refused.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
    }
}

/// Returns a client's networks as numbers, smallest first. An IPv6 client can use any address in its /64, and
/// often has a /56 or a /48. For IPv4, all three are the address itself.
fn networks(address: IpAddr) -> [u128; 3] {
    match address {
        IpAddr::V6(v6) => [64, 56, 48].map(|bits| v6.to_bits() >> (128 - bits)),
        IpAddr::V4(v4) => [v4.to_bits().into(); 3],
    }
}
