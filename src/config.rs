//! The configuration, read from environment variables when the app starts.

use std::net::{IpAddr, SocketAddr};
use std::{num::NonZero, ops::RangeInclusive, str::FromStr, thread, time::Duration};

use sqlx::postgres::PgSslMode;

pub use crate::database_url::DatabaseUrl;
use crate::{database_url, database_url::EXAMPLE, proxies::TrustedProxies, secret::SecretKeys};

/// The settings that differ between deployments. `docs/configuration.md` explains their values and effects.
#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL` (required). For missing parts, the app uses PostgreSQL's own variables, such as `PGPASSFILE`.
    pub database_url: DatabaseUrl,
    /// `MIGRATION_DATABASE_URL` (none): a direct connection for the migrations, if `DATABASE_URL` points to a pooler.
    pub migration_database_url: Option<DatabaseUrl>,
    /// `DATABASE_MAX_CONNECTIONS` (`10`): size of the pool. Each worker adds up to four, and `/health/ready` one.
    pub database_max_connections: u32,
    /// `WORKERS` (half the processors, 1 to 4): number of threads that serve requests, 1 to 64.
    pub workers: u32,
    /// `BIND_ADDRESS` (`127.0.0.1:8080`): address and port to listen on.
    pub bind_address: SocketAddr,
    /// `SESSION_SECRET` (none), or the contents of the file in `SESSION_SECRET_FILE` (`.session-secret`).
    pub session_secret: SecretKeys,
    /// `SESSION_IDLE_TIMEOUT` (`30m`): how long a session lasts without requests.
    pub session_idle_timeout: Duration,
    /// `SESSION_MAX_AGE` (`8h`): how long a session lasts in total, regardless of activity. At most `400d`.
    pub session_max_age: Duration,
    /// `REMEMBER_IDLE_TIMEOUT` (`30d`): like `SESSION_IDLE_TIMEOUT`, but for logins with "Keep me logged in".
    pub remember_idle_timeout: Duration, // accounts
    /// `REMEMBER_MAX_AGE` (`180d`): like `SESSION_MAX_AGE`, but for logins with "Keep me logged in".
    pub remember_max_age: Duration, // accounts
    /// `COOKIE_SECURE` (`true`): whether the cookie is sent only over HTTPS, with the name `__Host-id` and not `id`.
    pub cookie_secure: bool,
    /// `NEW_SESSIONS_PER_MINUTE` (`6000`): sessions that an address (for IPv6, a /64) can start. `0` means no limit.
    pub new_sessions_per_minute: u32, // demo
    /// `TRUSTED_PROXIES` (none): proxies whose `X-Forwarded-For`, `-Host` and `-Proto` headers the app uses.
    pub trusted_proxies: TrustedProxies,
    /// `METRICS_ADDRESS` (none): address and port for Prometheus metrics. Keep it private.
    pub metrics_address: Option<SocketAddr>,
    /// `EXPERIMENTS` (`false`): set it to `true` to let visitors experiment with sessions at `/experiments`.
    pub experiments: bool, // demo
    /// `LOG_FORMAT` (`pretty`): `pretty` for people, or `json` for programs, with one JSON object per line.
    pub log_as_json: bool,
    /// `RUST_LOG` (`info`, less from libraries): what to log, as an [`EnvFilter`](tracing_subscriber::EnvFilter).
    pub log_filter: String,
}

/// All missing and invalid variables, and what each one accepts.
#[derive(Debug, thiserror::Error)]
#[error("invalid configuration; nothing was started\n  {}", .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the environment variables, which take precedence over a `.env` file here or in a parent directory.
    pub fn from_env() -> Result<Self, ConfigError> {
        read_dotenv()?;
        Self::from_lookup(variable)
    }

    /// Reads the variables through `lookup`. Empty variables count as unset. The error names every invalid variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, problems: Vec::new() };
        if read.get("DATABASE_URL").is_none() {
            read.problems.push(format!("DATABASE_URL: must be set, for example to {EXAMPLE}"));
        }
        // Leaves half the processors to PostgreSQL, which often runs on the same machine.
        let workers = (thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, 4).to_string();
        let mut config = Self {
            database_url: read.parse("DATABASE_URL", EXAMPLE, database_url::parse),
            migration_database_url: read.optional("MIGRATION_DATABASE_URL", database_url::parse),
            database_max_connections: read.parse("DATABASE_MAX_CONNECTIONS", "10", number(1..=1000)),
            workers: read.parse("WORKERS", &workers, number(1..=64)),
            bind_address: read.parse("BIND_ADDRESS", BIND_ADDRESS, parsed(ADDRESS)),
            session_secret: read.optional("SESSION_SECRET", SecretKeys::parse).unwrap_or_default(),
            session_idle_timeout: read.parse("SESSION_IDLE_TIMEOUT", "30m", duration),
            session_max_age: read.parse("SESSION_MAX_AGE", "8h", duration),
            remember_idle_timeout: read.parse("REMEMBER_IDLE_TIMEOUT", "30d", duration), // accounts
            remember_max_age: read.parse("REMEMBER_MAX_AGE", "180d", duration),          // accounts
            cookie_secure: read.parse("COOKIE_SECURE", "true", parsed("true or false")),
            new_sessions_per_minute: read.parse("NEW_SESSIONS_PER_MINUTE", "6000", number(0..=1_000_000)), // demo
            trusted_proxies: read.parse("TRUSTED_PROXIES", "", TrustedProxies::parse),
            metrics_address: read.optional("METRICS_ADDRESS", parsed(ADDRESS)),
            experiments: read.parse("EXPERIMENTS", "false", parsed("true or false")), // demo
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
        // sqlx reads these variables itself and ignores invalid values.
        read.optional("PGHOST", database_url::one_host);
        read.optional("PGHOSTADDR", parsed::<IpAddr>("one IP address"));
        read.optional("PGPORT", parsed::<u16>("a port"));
        read.optional("PGSSLMODE", parsed::<PgSslMode>(database_url::SSL_MODES));
        read.optional("PGPASSFILE", database_url::password_file);
        for name in database_url::UNSUPPORTED.split_whitespace() {
            if read.get(name).is_some() {
                read.problems.push(format!("{name}: must not be set, because the app doesn't support it"));
            }
        }
        if read.get("PGSSLROOTCERT").is_some() && !database_url::verifies(&config.database_url.0) {
            read.problems.push("PGSSLROOTCERT: must be used with PGSSLMODE=verify-full".into());
        }
        // Read last, because this may create a file.
        if config.session_secret.all.is_empty() && read.problems.is_empty() {
            let path = read.get("SESSION_SECRET_FILE").unwrap_or_else(|| ".session-secret".into());
            let add = |accepts| read.problems.push(format!("SESSION_SECRET_FILE: must be {accepts}"));
            config.session_secret = SecretKeys::from_file(path.as_ref()).map_err(add).unwrap_or_default();
        }
        if read.problems.is_empty() { Ok(config) } else { Err(ConfigError(read.problems)) }
    }
}

/// Reads only `BIND_ADDRESS`, so that a health check doesn't need the other settings.
pub fn bind_address_from_env() -> Result<SocketAddr, ConfigError> {
    read_dotenv()?;
    let mut read = Reader { lookup: variable, problems: Vec::new() };
    let address = read.parse("BIND_ADDRESS", BIND_ADDRESS, parsed(ADDRESS));
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
const ADDRESS: &str = "an address and port, such as 127.0.0.1:8080 or [::]:8080";
const LOG_FILTER: &str = "info,actix_http=off,actix_server=warn,actix_session=warn,sqlx=warn";

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parse<T>(&mut self, name: &str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.optional(name, &parse).unwrap_or_else(|| parse(default).expect("the default is valid"))
    }

    /// Parses a variable. The error says what it accepts, but not the value, which may be a misplaced secret.
    fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.get(name)?;
        parse(&value).map_err(|accepts| self.problems.push(format!("{name}: must be {accepts}"))).ok()
    }
}

fn parsed<T: FromStr>(accepts: &str) -> impl Fn(&str) -> Result<T, String> {
    move |value| value.parse().map_err(|_| accepts.to_owned())
}

fn number(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> {
    move |value| {
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
    }
}

fn duration(value: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(60)..=Duration::from_secs(400 * 24 * 60 * 60);
    // Allows only whole seconds, because PostgreSQL would reject nanoseconds.
    let is_valid = |duration: &Duration| range.contains(duration) && duration.subsec_nanos() == 0;
    let duration = humantime::parse_duration(value).ok().filter(is_valid);
    duration.ok_or_else(|| "a duration in whole seconds, such as 30m or 8h, from 1m to 400d".into())
}

fn log_format(value: &str) -> Result<bool, String> {
    let is_json = value == "json";
    if is_json || value == "pretty" { Ok(is_json) } else { Err("pretty or json".into()) }
}

fn log_filter(value: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::builder().parse(value);
    parsed.map(|_| value.to_owned()).map_err(|_| "log directives, such as info or warn,app=debug".into())
}
