//! Which passwords are accepted, and how they are hashed. `docs/accounts.md` gives the sources.

use std::{sync::Arc, thread, time::Duration};

use actix_web::web;
use anyhow::{Context, anyhow};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use unicode_normalization::UnicodeNormalization;

use crate::Error;
use crate::limits::{BODY_TIME, GRACE, MEMORY_BYTES, PEAK_BYTES};

/// Minimum and maximum length of a password, in characters. There are no rules about its characters.
pub const LENGTH: (usize, usize) = (8, 1_000);

/// Time limit for pages that hash a password, including the wait for other hashes.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Number of ranks. The request with the lowest rank gets the next hash. Rank 0 is for members and for the account's
/// known browsers. The other ranks depend on how often the client's network has recently tried a password.
pub const RANKS: usize = 5;

/// Maximum number of concurrent hashes, and the memory that each one uses.
const MAX_HASHES: usize = 8;
const HASH_BYTES: usize = 19 * 1024 * 1024;

const _: () = {
    assert!(BODY_TIME.as_millis() + DEADLINE.as_millis() < GRACE.as_millis());
    assert!(PEAK_BYTES + MAX_HASHES * HASH_BYTES <= MEMORY_BYTES);
};

/// The start of each hash: 19 MiB, two passes, one lane. To change these defaults, also replace `Argon2::default()`.
pub(super) const PARAMETERS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The most common passwords of eight characters or more. `common_passwords.md` names the source.
const COMMON: &str = include_str!("common_passwords.txt");

/// Returns why the account with this address can't have this password, or `None` if it can.
pub fn problem(password: &str, email: &str) -> Option<String> {
    let length = password.nfc().count();
    let lower = password.nfc().collect::<String>().to_lowercase();
    // Ignores punctuation, and digits at the end, so that `Ada.Example.org1` also counts as the address.
    let bare = |text: &str| {
        let text: String = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        text.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
    };
    let name = email.split('@').next().unwrap_or_default();
    let known = [email, name, env!("CARGO_PKG_NAME")].map(bare);
    Some(if length < LENGTH.0 {
        format!("Use at least {} characters.", LENGTH.0)
    } else if length > LENGTH.1 {
        format!("Use at most {} characters.", LENGTH.1)
    } else if password.trim().is_empty() {
        "Don't use only spaces.".into()
    } else if COMMON.lines().any(|common| common == lower) {
        "This is one of the most common passwords, so it is easy to guess.".into()
    } else if known.iter().any(|known| !known.is_empty() && *known == bare(password)) {
        "Don't use your email address or the name of this site.".into()
    } else {
        return None;
    })
}

/// Returns how many hashes can run at a time. Each one needs a core and 19 MiB, and pages also need cores.
pub fn slots(cores: usize) -> usize {
    (cores / 2).clamp(1, MAX_HASHES)
}

/// Hashes passwords, a few at a time. All workers share it.
pub struct Passwords {
    slots: Arc<Semaphore>,
    /// The places in each rank's queue.
    places: [Semaphore; RANKS],
    /// For each rank except the last: how many requests of higher ranks can wait for a slot alongside it.
    turns: [Semaphore; RANKS - 1],
    waiting: usize,
    patience: Duration,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        // More than 64 requests of a rank couldn't be served in time anyway.
        Self::new(slots(cores), 64, Duration::from_secs(2))
    }
}

impl Passwords {
    /// Hashes up to `slots` passwords at a time. Up to `waiting` more requests of each rank wait for up to `patience`.
    pub fn new(slots: usize, waiting: usize, patience: Duration) -> Self {
        let places = [waiting; RANKS].map(Semaphore::new);
        let turns = [slots; RANKS - 1].map(Semaphore::new);
        Self { slots: Arc::new(Semaphore::new(slots)), places, turns, waiting, patience }
    }

    /// Hashes a new password with a random salt. Returns [`Error::Timeout`] if too many other requests are waiting.
    pub async fn hash(&self, rank: usize, password: &str) -> Result<String, Error> {
        let password: String = password.nfc().collect();
        let hash = move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string());
        Ok(self.in_a_slot(rank, hash).await?.map_err(|error| anyhow!("can't hash a password: {error}"))?)
    }

    /// Returns whether the password matches the hash, or [`Error::Timeout`] if too many other requests are waiting.
    /// Without a hash, does the same work, so that the time doesn't reveal which addresses have an account.
    pub async fn verify(&self, rank: usize, password: &str, hash: Option<&str>) -> Result<bool, Error> {
        let password: String = password.nfc().take(LENGTH.1 + 1).collect();
        let hash = hash.map(str::to_owned);
        let verify = move || match hash {
            Some(hash) => Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok(),
            None => Argon2::default().hash_password(password.as_bytes()).is_err(),
        };
        self.in_a_slot(rank, verify).await
    }

    /// Runs the work on a blocking thread, because a worker serves all of its connections on one thread.
    async fn in_a_slot<T: Send + 'static>(
        &self,
        rank: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let busy = || Error::Timeout(self.patience);
        // Refuses requests at random when few places are left, so that the busiest client doesn't get all free places.
        let places = &self.places[rank];
        let is_lucky = rand::random_range(0..=self.waiting / 2) < places.available_permits();
        let place = places.try_acquire().ok().filter(|_| is_lucky).ok_or_else(busy)?;
        let slot = timeout(self.patience, self.slot(rank)).await.map_err(|_| busy())?;
        drop(place);
        let done = web::block(move || {
            // The thread keeps the slot, even if the request has been abandoned.
            let _slot = slot;
            work()
        });
        Ok(done.await.context("can't hash a password")?)
    }

    /// Waits for a slot. A request must first get a turn at each lower rank. There are only as many turns as
    /// slots, so only a few requests of a higher rank can be ahead of one of a lower rank.
    async fn slot(&self, rank: usize) -> OwnedSemaphorePermit {
        let mut turn = None;
        for next in self.turns[..rank].iter().rev() {
            turn = Some(next.acquire().await);
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        drop(turn);
        slot.expect("the semaphore is never closed")
    }
}
