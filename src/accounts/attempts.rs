//! Limits password attempts, but never locks out the owner's known browsers. `docs/accounts.md` lists the limits.

use std::net::IpAddr;

use uuid::Uuid;

use super::passwords::RANKS;
use crate::rate_limit::{Limit, networks};

/// Number of wrong passwords in a row, from any client, after which an account is guarded.
const FREE_FAILURES: i32 = 20;

/// Counts attempts in memory. All workers share it.
pub struct Attempts {
    known: Limit,
    clients: [Limit; 3],
    pairs: Limit,
    guarded: [Limit; 2],
    /// This never refuses an attempt, but networks that try more often wait longer for a hash.
    lately: Limit,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            known: Limit::new(10, 60.0),
            clients: [Limit::new(30, 2.0), Limit::new(60, 1.0), Limit::new(120, 0.5)],
            pairs: Limit::new(10, 60.0),
            guarded: [Limit::new(3, 20.0 * 60.0), Limit::new(30, 2.0 * 60.0)],
            lately: Limit::new(RANKS as u32 - 2, 10.0 * 60.0),
        }
    }
}

impl Attempts {
    /// Counts an attempt that needs a hash, such as a registration. Returns the hash's rank, or the seconds to wait.
    pub fn check_client(&self, client: IpAddr) -> Result<usize, u64> {
        let networks = networks(client);
        self.clients.iter().zip(networks).try_for_each(|(limit, network)| limit.count(network).map(drop))?;
        let lately = self.lately.count(networks[2]);
        Ok(lately.map_or(RANKS - 1, |left| RANKS - 2 - left as usize))
    }

    /// The same for the password of an account, after `wrong` ones in a row. `known` identifies a member's
    /// session, or a browser that has logged in to this account before.
    pub fn check(&self, client: IpAddr, known: Option<Uuid>, email: &str, wrong: i32) -> Result<usize, u64> {
        if let Some(browser) = known {
            return self.known.count(browser).map(|_| 0);
        }
        // Counts the client first, so that a refused client can't use up the attempts of others.
        let rank = self.check_client(client)?;
        let [_, network, widest] = networks(client);
        self.pairs.count((network, email))?;
        if wrong >= FREE_FAILURES {
            self.guarded[0].count((widest, email))?;
            self.guarded[1].count(email)?;
        }
        Ok(rank)
    }
}
