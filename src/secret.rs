//! The secrets that encrypt the session cookie.

use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, str::FromStr};

use actix_web::cookie::Key;
use sha2::{Digest, Sha512};

/// Minimum length of a secret, in characters. The 32 characters from `openssl rand -hex 16` contain 128 bits.
const MIN_SECRET_LENGTH: usize = 32;

/// The keys for the cookie. The app encrypts with the first one, and decrypts with any of them. `Debug`
/// prints only the number of keys.
///
/// The default contains no keys. Only an invalid configuration uses it.
#[derive(Clone, Default)]
pub struct SecretKeys {
    keys: Vec<Key>,
    /// The file, if it was created with a new secret.
    pub created: Option<PathBuf>,
}

impl SecretKeys {
    /// Returns the key for new cookies.
    pub fn current(&self) -> &Key {
        &self.keys[0]
    }

    /// Returns all keys, the current one first.
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// Reads the file, or creates it with a random secret if it is missing.
    ///
    /// # Errors
    /// Returns a message that says what the file must be, and why it can't be used.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let read = || {
            let is_new = !path.try_exists()? && create(path)?;
            let mode = fs::metadata(path)?.permissions().mode();
            fs::read_to_string(path).map(|secrets| (secrets, is_new, mode))
        };
        let (secrets, is_new, mode) =
            read().map_err(|error| format!("a file that can be read or created ({error})"))?;
        // The group may read it, because Kubernetes mounts secrets that way.
        if mode & 0o026 != 0 {
            return Err("a file that others can't read or write (chmod 600)".into());
        }
        let keys: Self = secrets.trim().parse().map_err(|accepts| format!("a file with {accepts}"))?;
        Ok(Self { created: is_new.then(|| path.to_owned()), ..keys })
    }
}

impl FromStr for SecretKeys {
    type Err = String;

    fn from_str(secrets: &str) -> Result<Self, String> {
        let secrets: Vec<&str> = secrets.split(',').map(str::trim).collect();
        // If line breaks were allowed, two secrets could be mistaken for one.
        let bad = |secret: &&str| {
            let is_quoted = secret.starts_with(['\'', '"']) || secret.ends_with(['\'', '"']);
            is_quoted || secret.chars().count() < MIN_SECRET_LENGTH || secret.contains(char::is_control)
        };
        if secrets.iter().any(bad) {
            return Err(format!(
                "one or more secrets of at least {MIN_SECRET_LENGTH} characters, separated by commas and without quotes, such as the output of `openssl rand -hex 32`"
            ));
        }
        Ok(Self { keys: secrets.into_iter().map(derive).collect(), created: None })
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.keys.len())
    }
}

/// Derives the 64 bytes of a [`Key`]. Unlike a password, a secret is random, so hashing it once is enough.
fn derive(secret: &str) -> Key {
    let hash = Sha512::new().chain_update("session cookie key, version 1\0").chain_update(secret);
    Key::from(&hash.finalize())
}

/// Creates the file. If two processes start at the same time, they use the same secret. Each one writes its own file
/// and tries to link it into place, but only the first one succeeds. Returns whether this process was first.
fn create(path: &Path) -> io::Result<bool> {
    let draft = path.with_added_extension(uuid::Uuid::new_v4().to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let secret: String = Key::generate().signing().iter().map(|byte| format!("{byte:02x}")).collect();
    let linked =
        writeln!(file, "{secret}").and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Ok(true),
    }
}
