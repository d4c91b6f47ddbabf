//! The configuration, read from environment variables when the app starts.

use std::{
    fmt, net::SocketAddr, num::NonZero, ops::RangeInclusive, path::Path, str::FromStr, thread, time::Duration,
};

pub use crate::database_url::DatabaseUrl;
use crate::{database_url, proxies::TrustedProxies, secret::SecretKeys};

/// The settings that differ between deployments. Each field documents its variable, default and effect.
#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL` (required): the PostgreSQL database, such as `postgres://user:password@localhost:5432/name`. For
    /// missing parts, the app uses PostgreSQL's own variables, such as `PGPASSFILE` or `PGSSLMODE`.
    pub database_url: DatabaseUrl,
    /// `MIGRATION_DATABASE_URL` (none): a direct connection for the migrations, if `DATABASE_URL` points to a pooler.
    pub migration_database_url: Option<DatabaseUrl>,
    /// `DATABASE_MAX_CONNECTIONS` (`10`): size of the connection pool, 1 to 1000. Each worker also opens up
    /// to four connections, and `/health/ready` uses one.
    pub database_max_connections: u32,
    /// `WORKERS` (half the processors, 1 to 4): number of threads that serve requests, 1 to 64.
    pub workers: usize,
    /// `BIND_ADDRESS` (`127.0.0.1:8080`): address and port to listen on.
    pub bind_address: SocketAddr,
    /// `SESSION_SECRET` (none): one or more secrets of at least 32 characters each, separated by commas. The
    /// app encrypts cookies with the first one, and can decrypt old cookies with any of them.
    ///
    /// `SESSION_SECRET_FILE` (`.session-secret`): a file with the secrets, used if `SESSION_SECRET` isn't
    /// set. If the file is missing, the app creates one with a random secret. If other users can read or
    /// write the file, the app doesn't start.
    pub session_secret: SecretKeys,
    /// `SESSION_IDLE_TIMEOUT` (`30m`): how long a session lasts without requests. At least `1m`, at most
    /// `SESSION_MAX_AGE`.
    pub session_idle_timeout: Duration,
    /// `SESSION_MAX_AGE` (`8h`): how long a session lasts in total, regardless of activity. At most `400d`.
    pub session_max_age: Duration,
    /// `REMEMBER_IDLE_TIMEOUT` (`30d`): like `SESSION_IDLE_TIMEOUT`, but for logins with "Keep me logged in".
    pub remember_idle_timeout: Duration, // accounts
    /// `REMEMBER_MAX_AGE` (`180d`): like `SESSION_MAX_AGE`, but for logins with "Keep me logged in".
    pub remember_max_age: Duration, // accounts
    /// `COOKIE_SECURE` (`true`): with `true`, the cookie's name is `__Host-id`, and browsers send it only over HTTPS.
    /// With `false`, the name is `id`, and the cookie also works over plain HTTP. Use `false` only on localhost.
    pub cookie_secure: bool,
    /// `NEW_SESSIONS_PER_MINUTE` (`6000`): number of sessions that a client address (for IPv6, a /64) can start per
    /// minute, up to 1000000. `0` means no limit. The limit doesn't affect visitors who already have a session.
    pub new_sessions_per_minute: Option<NonZero<u32>>, // demo
    /// `TRUSTED_PROXIES` (none): proxies to trust, as addresses and networks separated by commas, such as
    /// `10.0.0.7,172.16.0.0/12`. The app uses their `X-Forwarded-For`, `-Host` and `-Proto` headers.
    pub trusted_proxies: TrustedProxies,
    /// `METRICS_ADDRESS` (none): address and port for Prometheus metrics, such as `127.0.0.1:9090`. Keep the
    /// address private.
    pub metrics_address: Option<SocketAddr>,
    /// `EXPERIMENTS` (`false`): set it to `true` to let visitors experiment with sessions at `/experiments`.
    pub experiments: bool, // demo
    /// `LOG_FORMAT` (`pretty`): `pretty` for people, or `json` for programs, with one JSON object per line.
    pub log_as_json: bool,
    /// `RUST_LOG` (`info,actix_http=off,actix_server=warn,actix_session=warn,sqlx=warn`): what to log, as an
    /// [`EnvFilter`](tracing_subscriber::EnvFilter).
    pub log_filter: String,
}

/// All missing and invalid variables, and what each one accepts.
#[derive(Debug, thiserror::Error)]
#[error("invalid configuration; nothing was started\n  {}", .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the environment variables, and a `.env` file in the current directory or one of its parents.
    /// Environment variables take precedence over the file.
    ///
    /// # Errors
    /// Returns one error that names every invalid variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        read_dotenv()?;
        Self::from_lookup(variable)
    }

    /// Reads the variables through `lookup`. Empty variables count as unset.
    ///
    /// # Errors
    /// Returns one error that names every invalid variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, problems: Vec::new() };
        let example = database_url::EXAMPLE;
        if read.get("DATABASE_URL").is_none() {
            read.problems.push(format!("DATABASE_URL: must be set, for example to {example}"));
        }
        let mut config = Self {
            database_url: read.parse("DATABASE_URL", example, database_url::parse),
            migration_database_url: read.parse("MIGRATION_DATABASE_URL", "", optional(database_url::parse)),
            database_max_connections: read.parse("DATABASE_MAX_CONNECTIONS", "10", number(1..=1000)),
            workers: read.parse("WORKERS", &default_workers(), number(1..=64)),
            bind_address: read.parse("BIND_ADDRESS", BIND_ADDRESS, address),
            session_secret: SecretKeys::default(),
            session_idle_timeout: read.parse("SESSION_IDLE_TIMEOUT", "30m", duration),
            session_max_age: read.parse("SESSION_MAX_AGE", "8h", duration),
            remember_idle_timeout: read.parse("REMEMBER_IDLE_TIMEOUT", "30d", duration), // accounts
            remember_max_age: read.parse("REMEMBER_MAX_AGE", "180d", duration),          // accounts
            cookie_secure: read.parse("COOKIE_SECURE", "true", boolean),
            // demo: begin
            new_sessions_per_minute: NonZero::new(read.parse(
                "NEW_SESSIONS_PER_MINUTE",
                "6000",
                number(0..=1_000_000),
            )),
            // demo: end
            trusted_proxies: read.parse("TRUSTED_PROXIES", "", TrustedProxies::from_str),
            metrics_address: read.parse("METRICS_ADDRESS", "", optional(address)),
            experiments: read.parse("EXPERIMENTS", "false", boolean), // demo
            log_as_json: read.parse("LOG_FORMAT", "pretty", log_format),
            log_filter: read.parse("RUST_LOG", LOG_FILTER, log_filter),
        };
        let ages = [
            ("SESSION", config.session_idle_timeout, config.session_max_age),
            ("REMEMBER", config.remember_idle_timeout, config.remember_max_age), // accounts
        ];
        for (name, _, _) in ages.iter().filter(|(_, idle, max_age)| idle > max_age) {
            read.problems.push(format!("{name}_IDLE_TIMEOUT: must not be longer than {name}_MAX_AGE"));
        }
        read.check_postgres_variables(&config.database_url);
        // Read last, because this may create a file.
        config.session_secret = read.session_secret();
        if read.problems.is_empty() { Ok(config) } else { Err(ConfigError(read.problems)) }
    }
}

/// Reads only `BIND_ADDRESS`, so that a health check doesn't need the other settings.
///
/// # Errors
/// Returns an error if the variable is invalid.
pub fn bind_address_from_env() -> Result<SocketAddr, ConfigError> {
    read_dotenv()?;
    let mut read = Reader { lookup: variable, problems: Vec::new() };
    let address = read.parse("BIND_ADDRESS", BIND_ADDRESS, address);
    if read.problems.is_empty() { Ok(address) } else { Err(ConfigError(read.problems)) }
}

fn read_dotenv() -> Result<(), ConfigError> {
    // dotenvy panics if a line contains a NUL byte.
    let has_nul = |(name, value): (String, String)| name.contains('\0') || value.contains('\0');
    if dotenvy::dotenv_iter().is_ok_and(|mut lines| lines.any(|line| line.is_ok_and(has_nul))) {
        return Err(ConfigError(vec![".env: a line contains a NUL byte".into()]));
    }
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(ConfigError(vec![format!(".env: {error}")])),
        // dotenvy's own message quotes the line, which may contain a password.
        Err(_) => Err(ConfigError(vec![".env: a line is not in the form NAME=value".into()])),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

const BIND_ADDRESS: &str = "127.0.0.1:8080";
const LOG_FILTER: &str = "info,actix_http=off,actix_server=warn,actix_session=warn,sqlx=warn";

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Parses the variable `name`, or `default`. The error from `parse` says what the variable accepts. The
    /// message doesn't show the invalid value, because it may be a misplaced secret.
    fn parse<T>(&mut self, name: &str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        match self.get(name).map(|value| parse(&value)) {
            Some(Ok(value)) => return value,
            Some(Err(accepts)) => self.problems.push(format!("{name}: must be {accepts}")),
            None => {}
        }
        parse(default).expect("the default is valid")
    }

    /// Checks the variables that sqlx reads itself, because sqlx ignores invalid values.
    fn check_postgres_variables(&mut self, url: &DatabaseUrl) {
        for (name, check) in database_url::VARIABLES {
            self.parse(name, "", optional(check));
        }
        for name in database_url::UNSUPPORTED {
            if self.get(name).is_some() {
                self.problems.push(format!("{name}: must not be set, because the app doesn't support it"));
            }
        }
        if self.get("PGSSLROOTCERT").is_some() && !database_url::verifies(&url.0) {
            self.problems.push("PGSSLROOTCERT: must be used with PGSSLMODE=verify-full".into());
        }
    }

    /// Reads `SESSION_SECRET` or the file. Creates a missing file, but only if everything else is valid.
    fn session_secret(&mut self) -> SecretKeys {
        let (name, keys) = match self.get("SESSION_SECRET") {
            Some(secrets) => ("SESSION_SECRET", secrets.parse()),
            None if !self.problems.is_empty() => return SecretKeys::default(),
            None => {
                let path = self.get("SESSION_SECRET_FILE").unwrap_or_else(|| ".session-secret".into());
                ("SESSION_SECRET_FILE", SecretKeys::from_file(Path::new(&path)))
            }
        };
        keys.unwrap_or_else(|accepts| {
            self.problems.push(format!("{name}: must be {accepts}"));
            SecretKeys::default()
        })
    }
}

/// Makes a setting optional: an empty value means `None`.
fn optional<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |value| if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| "an address and port, such as 127.0.0.1:8080 or [::]:8080".into())
}

fn number<T: FromStr + PartialOrd + fmt::Display>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> {
    move |value| {
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
    }
}

/// Leaves half the processors to PostgreSQL, which often runs on the same machine.
fn default_workers() -> String {
    (thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, 4).to_string()
}

fn duration(value: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(60)..=Duration::from_secs(400 * 24 * 60 * 60);
    let duration = humantime::parse_duration(value).ok().filter(|duration| range.contains(duration));
    // Allows only whole seconds, because PostgreSQL would reject nanoseconds.
    let duration = duration.filter(|duration| duration.subsec_nanos() == 0);
    duration.ok_or_else(|| "a duration in whole seconds, such as 30m or 8h, from 1m to 400d".into())
}

fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "true or false".into())
}

fn log_format(value: &str) -> Result<bool, String> {
    match value {
        "pretty" => Ok(false),
        "json" => Ok(true),
        _ => Err("pretty or json".into()),
    }
}

fn log_filter(value: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::builder().parse(value);
    parsed.map(|_| value.to_owned()).map_err(|_| "log directives, such as info or warn,app=debug".into())
}
