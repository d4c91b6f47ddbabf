//! The hash that identifies a session's row.

use sha2::{Digest, Sha256};

/// The SHA-256 hash of a session key, and the primary key of the table.
///
/// A key is 64 random alphanumeric characters (381 bits), so a salt or a slow hash wouldn't make it safer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct SessionId(pub [u8; 32]);

impl SessionId {
    /// Returns the ID for `key`, or `None` if the store can't have created such a key.
    pub fn of(key: &str) -> Option<Self> {
        let is_well_formed = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_well_formed.then(|| Self::hash(key))
    }

    pub(crate) fn hash(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Returns the first 12 hexadecimal digits, for display.
    pub fn start(&self) -> String {
        self.0[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
