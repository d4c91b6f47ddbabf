//! The database URL. sqlx ignores parameters and values that it doesn't know, so this module rejects them.

use std::{fmt, fs, os::unix::fs::MetadataExt};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

pub(crate) const EXAMPLE: &str = "postgres://user:password@localhost:5432/name";

pub(crate) const SSL_MODES: &str = "disable, allow, prefer, require, verify-ca or verify-full";

/// The parameters that sqlx knows and that need no check here, except for `options[name]`.
const PARAMETERS: &str = " sslrootcert sslcert sslkey statement-cache-capacity hostaddr port dbname user password application_name options ";

/// PostgreSQL's variables that sqlx ignores. They affect where and how securely a program connects.
pub(crate) const UNSUPPORTED: &str = "PGSERVICE PGREQUIRESSL PGSSLCRL PGSSLCRLDIR PGSSLCERTMODE \
     PGSSLNEGOTIATION PGSSLMINPROTOCOLVERSION PGSSLMAXPROTOCOLVERSION PGGSSENCMODE PGCHANNELBINDING \
     PGREQUIREAUTH PGREQUIREPEER PGLOADBALANCEHOSTS PGTARGETSESSIONATTRS";

/// The database URL. `Debug` hides the password, and any name that may be part of it.
#[derive(Clone)]
pub struct DatabaseUrl(pub PgConnectOptions);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        let host = url.get_socket().map_or(url.get_host().into(), |socket| socket.to_string_lossy());
        let name = url.get_database().unwrap_or_default();
        write!(f, "{}@{}:{}/{}", plain(url.get_username()), plain(&host), url.get_port(), plain(name))
    }
}

fn plain(name: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]/".contains(&byte);
    if name.bytes().all(is_plain) { name } else { "…" }
}

/// Parses a URL. The error says what the URL must be, without quoting anything that may be secret.
pub(crate) fn parse(value: &str) -> Result<DatabaseUrl, String> {
    let invalid = || format!("a PostgreSQL URL, such as {EXAMPLE}");
    let rest = value.strip_prefix("postgres://").or_else(|| value.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(invalid)?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if rest.contains(['@', '#']) {
        return Err("a URL with a percent-encoded password: / as %2F, ? as %3F, # as %23, @ as %40".into());
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let parameters: Vec<_> = parameters.map(|text| text.split_once('=').unwrap_or((text, ""))).collect();
    for &(name, value) in &parameters {
        let checked = match name {
            "host" => one_host(value),
            "sslmode" => value.parse::<PgSslMode>().map(drop).map_err(|_| SSL_MODES.into()),
            "sslrootcert" if value == "system" => {
                Err("a file, because the system's certificates are always accepted".into())
            }
            _ if name.starts_with("options[") || PARAMETERS.contains(&format!(" {name} ")) => Ok(()),
            _ => return Err(format!("a URL without {}, which the app doesn't support", plain(name))),
        };
        checked.map_err(|accepts| format!("a URL in which {name} is {accepts}"))?;
    }
    let has = |name: &str| parameters.iter().any(|(known, _)| *known == name);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    one_host(host).map_err(|accepts| format!("a URL with {accepts}"))?;
    // A URL can't have a user without a host, so this adds a host, which the parameter overrides.
    let is_socket = authority.ends_with('@') && (has("host") || has("hostaddr"));
    let placeholder = if is_socket { "localhost" } else { "" };
    let url = format!("postgres://{authority}{placeholder}{rest}");
    let options: PgConnectOptions = url.parse().map_err(|_| invalid())?;
    if has("sslrootcert") && !verifies(&options) {
        return Err("a URL with sslmode=verify-full, because sslrootcert has no effect otherwise".into());
    }
    Ok(DatabaseUrl(options))
}

/// Returns whether the server's certificate is checked.
pub(crate) fn verifies(options: &PgConnectOptions) -> bool {
    matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}

pub(crate) fn one_host(value: &str) -> Result<(), String> {
    let is_list = value.contains(',') || value.to_ascii_uppercase().contains("%2C");
    if is_list { Err("one host; for several servers, use a proxy such as HAProxy".into()) } else { Ok(()) }
}

/// sqlx ignores a password file that other users can read.
pub(crate) fn password_file(path: &str) -> Result<(), String> {
    let is_private = fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o77 == 0);
    if is_private { Ok(()) } else { Err("a file that only its owner can read (chmod 600)".into()) }
}
