//! What the table `sessions` knows of a session's key.

use sha2::{Digest, Sha256};

/// The SHA-256 of a session key: what the table knows of it.
///
/// The key is 64 random alphanumerics (381 bits), so a plain hash is enough: there is nothing to guess, and nothing to
/// salt against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(pub [u8; 32]);

impl SessionId {
    /// The id of the row that `key` opens, or `None` where `key` is of a form that no store of ours ever gave out.
    pub fn of(key: &str) -> Option<Self> {
        let well_formed = key.len() == 64 && key.bytes().all(|b| b.is_ascii_alphanumeric());
        well_formed.then(|| Self::hash(key))
    }

    /// The first bytes, in hexadecimal: enough to find the row by eye, and nothing to open it with.
    pub fn start(&self) -> String {
        self.0[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn hash(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }
}
