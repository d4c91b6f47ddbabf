//! The secrets that the session cookie is encrypted under, from the environment or from a file made at the first start.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use actix_web::cookie::Key;
use anyhow::{Context, anyhow};
use sha2::{Digest, Sha512};

/// Characters of a secret, at least: 32 characters from `openssl rand -hex 16` are 128 bits.
const MIN_SECRET_LENGTH: usize = 32;

/// Where the cookie's secrets come from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The variable `SESSION_SECRET` itself.
    Keys(SecretKeys),
    /// The file that `SESSION_SECRET_FILE` names.
    File(PathBuf),
}

impl SecretSource {
    /// The keys; reads the file, or makes it with a random secret if it is missing.
    ///
    /// # Errors
    /// The file can neither be read nor made, or holds no good secret.
    pub fn keys(&self) -> anyhow::Result<SecretKeys> {
        match self {
            Self::Keys(keys) => Ok(keys.clone()),
            Self::File(path) => read_or_create(path)
                .with_context(|| format!("SESSION_SECRET_FILE: {} can't be used", path.display())),
        }
    }
}

/// The ring of keys: the first encrypts, all of them decrypt. Prints as their number.
#[derive(Clone)]
pub struct SecretKeys(Vec<Key>);

impl SecretKeys {
    /// The key that new cookies are encrypted under.
    pub fn current(&self) -> &Key {
        &self.0[0]
    }

    /// Every key that opens a cookie, the current one first.
    pub fn all(&self) -> &[Key] {
        &self.0
    }
}

impl FromStr for SecretKeys {
    type Err = String;

    fn from_str(secrets: &str) -> Result<Self, String> {
        let secrets: Vec<&str> = secrets.split(',').map(str::trim).collect();
        // A line break would be two secrets on two lines, taken for one.
        let bad =
            |secret: &&str| secret.chars().count() < MIN_SECRET_LENGTH || secret.contains(char::is_control);
        if secrets.iter().any(bad) {
            return Err(format!(
                "one or more secrets of at least {MIN_SECRET_LENGTH} characters, separated by commas, such as `openssl rand -hex 32` prints"
            ));
        }
        Ok(Self(secrets.into_iter().map(derive).collect()))
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.0.len())
    }
}

/// Spreads a secret over the 64 bytes that a [`Key`] takes. A secret is random, not a password, so that one round of a
/// hash is enough; the prefix keeps the result apart from any other use of the same secret.
fn derive(secret: &str) -> Key {
    let hash = Sha512::new().chain_update("session cookie key, version 1\0").chain_update(secret);
    Key::from(&hash.finalize())
}

fn read_or_create(path: &Path) -> anyhow::Result<SecretKeys> {
    if !path.try_exists()? {
        create(path)?;
    }
    let secrets = fs::read_to_string(path)?;
    secrets.trim().parse().map_err(|takes| anyhow!("it takes {takes}"))
}

/// Two first starts at once agree on one secret: each writes a file of its own and links it into place, which only one
/// can do, and no reader ever sees half a file.
fn create(path: &Path) -> io::Result<()> {
    let draft = path.with_added_extension(uuid::Uuid::new_v4().to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let secret: String = Key::generate().signing().iter().map(|byte| format!("{byte:02x}")).collect();
    let linked =
        writeln!(file, "{secret}").and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::info!(path = %path.display(), "made a session secret");
            Ok(())
        }
    }
}
