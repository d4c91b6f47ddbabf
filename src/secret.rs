//! The secrets that encrypt the session cookie.

use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io, io::Write};

use actix_web::cookie::Key;

/// Minimum length of a secret, in characters. The 32 characters from `openssl rand -hex 16` contain 128 bits.
const MIN_SECRET_LENGTH: usize = 32;

/// The keys for the cookie. The app encrypts with the first one, and decrypts with any of them. Only an invalid
/// configuration has none. `Debug` prints only their number.
#[derive(Clone, Default)]
pub struct SecretKeys {
    /// All keys, the current one first.
    pub all: Vec<Key>,
    /// The file, if it was created with a new secret.
    pub created: Option<PathBuf>,
}

impl SecretKeys {
    /// Returns the key for new cookies.
    pub fn current(&self) -> &Key {
        &self.all[0]
    }

    /// Reads the file, or creates it with a random secret if it is missing. The error says what the file must be.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let read = || -> io::Result<_> {
            let is_new = !path.try_exists()? && create(path)?;
            Ok((is_new, fs::metadata(path)?.mode(), fs::read_to_string(path)?))
        };
        let unusable = |error| format!("a file that can be read or created ({error})");
        let (is_new, mode, secrets) = read().map_err(unusable)?;
        // The group may read it, because Kubernetes mounts secrets that way.
        if mode & 0o026 != 0 {
            return Err("a file that others can't read or write (chmod 600)".into());
        }
        let keys = Self::parse(secrets.trim()).map_err(|accepts| format!("a file with {accepts}"))?;
        Ok(Self { created: is_new.then(|| path.to_owned()), ..keys })
    }

    /// Reads secrets separated by commas. The error says what they must be.
    pub fn parse(secrets: &str) -> Result<Self, String> {
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
        let all = secrets.into_iter().map(|secret| Key::derive_from(secret.as_bytes())).collect();
        Ok(Self { all, created: None })
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.all.len())
    }
}

/// Creates the file, or returns `false` if another process was faster. If two start at the same time, each one tries to
/// link its own file into place, but only the first succeeds. So both use the same secret.
fn create(path: &Path) -> io::Result<bool> {
    let draft = path.with_added_extension(uuid::Uuid::new_v4().to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let secret: String = Key::generate().signing().iter().map(|byte| format!("{byte:02x}")).collect();
    let linked =
        writeln!(file, "{secret}").and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    }
}
