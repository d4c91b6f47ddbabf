//! The environment, read once into [`Config`]. Nothing else reads it, but for what `DATABASE_URL` leaves out, which sqlx
//! takes from PostgreSQL's own variables.

mod proxies;
mod secret;

use std::{
    fmt,
    net::SocketAddr,
    num::{NonZero, NonZeroU32},
    path::PathBuf,
    str::FromStr,
    thread,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

pub use proxies::TrustedProxies;
pub use secret::{SecretKeys, SecretSource};

/// What differs between two deployments. Every field names its variable, its default and its effect.
#[derive(Clone)]
pub struct Config {
    /// `DATABASE_URL` (required): the PostgreSQL database, such as `postgres://user:password@localhost:5432/name`. What
    /// it leaves out comes from PostgreSQL's own variables, such as `PGPASSFILE` or `PGSSLMODE`.
    pub database_url: PgConnectOptions,
    /// `DATABASE_MAX_CONNECTIONS` (`10`): size of the connection pool, 1 to 1000; each worker opens up to three more
    /// beside it, for the statements that visits share. PostgreSQL's own `max_connections` (100 unless told) is for all
    /// replicas together.
    pub database_max_connections: u32,
    /// `WORKERS` (none): threads that serve, 1 to 64. Without it, one for every second processor, 4 at most: the other
    /// half is PostgreSQL's, and visits share statements only with those of the same worker.
    pub workers: usize,
    /// `BIND_ADDRESS` (`127.0.0.1:8080`): address and port to listen on.
    pub bind_address: SocketAddr,
    /// `SESSION_SECRET` (none): one or more secrets of at least 32 characters, separated by commas. Cookies are
    /// encrypted under the first; the others still open old cookies. Wins over `SESSION_SECRET_FILE`.
    ///
    /// `SESSION_SECRET_FILE` (`.session-secret`): a file that holds the same, and is made with a random secret, for its
    /// owner only, if it is missing.
    pub session_secret: SecretSource,
    /// `SESSION_IDLE_TIMEOUT` (`30m`): a session ends when nobody has come for so long; at least `1m`, at most
    /// `SESSION_MAX_AGE`.
    pub session_idle_timeout: Duration,
    /// `SESSION_MAX_AGE` (`8h`): a session ends when it is so old, however busy; at most `400d`, as in browsers.
    pub session_max_age: Duration,
    /// `COOKIE_SECURE` (`true`): the cookie is `__Host-id` and goes over https alone. `false` calls it `id` and lets it
    /// go over plain http: for localhost, nowhere else.
    pub cookie_secure: bool,
    /// `NEW_SESSIONS_PER_MINUTE` (`6000`): how many sessions one client address (an IPv6 /64) may start in a minute, at
    /// most 1000000; who starts more is answered 429. `0` sets no limit. Whoever has a session is never refused.
    pub new_sessions_per_minute: Option<NonZeroU32>,
    /// `TRUSTED_PROXIES` (none): addresses and networks of the proxies in front, separated by commas, such as
    /// `10.0.0.7,172.16.0.0/12`. Only their `X-Forwarded-For`, `-Host` and `-Proto` are believed; without them, all who
    /// come through one proxy count as one client.
    pub trusted_proxies: TrustedProxies,
    /// `LOG_FORMAT` (`pretty`): `pretty` for people, `json` for machines, one object a line.
    pub log_format: LogFormat,
    /// `RUST_LOG` (`info,actix_server=warn,actix_session=error,sqlx=warn`): what is logged, in the syntax of [tracing's filters][filters].
    ///
    /// [filters]: https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html
    pub log_filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Every variable that is missing or wrong, and what it takes, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong; nothing was started\n  {}", .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Reads the environment, and before it a `.env` file in this directory or one above, whose lines do not override
    /// what is already set.
    ///
    /// # Errors
    /// One error that names every wrong variable and what it takes.
    pub fn from_env() -> Result<Self, ConfigError> {
        match dotenvy::dotenv() {
            Ok(_) => {}
            Err(error) if error.not_found() => {}
            Err(dotenvy::Error::Io(error)) => return Err(ConfigError(vec![format!(".env: {error}")])),
            // dotenvy's own message quotes the line, which may hold a password.
            Err(_) => {
                return Err(ConfigError(vec![".env: a line is not of the form NAME=value".into()]));
            }
        }
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the variables through `lookup`; an empty value counts as none.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, problems: Vec::new() };
        let database_url = read.parse("DATABASE_URL", None, database_url);
        let session_idle_timeout = read.parse("SESSION_IDLE_TIMEOUT", Some("30m"), duration("1m", "400d"));
        let session_max_age = read.parse("SESSION_MAX_AGE", Some("8h"), duration("1m", "400d"));
        if session_idle_timeout.zip(session_max_age).is_some_and(|(idle, age)| idle > age) {
            read.problems.push("SESSION_IDLE_TIMEOUT: must not be longer than SESSION_MAX_AGE".into());
        }
        let database_max_connections = read.parse("DATABASE_MAX_CONNECTIONS", Some("10"), connections);
        let workers = read.parse("WORKERS", Some(""), workers);
        let bind_address = read.parse("BIND_ADDRESS", Some("127.0.0.1:8080"), |value| {
            value.parse().map_err(|_| "an address and port, such as 127.0.0.1:8080 or [::]:8080".into())
        });
        let secret = read.parse("SESSION_SECRET", Some(""), |value| match value {
            "" => Ok(None),
            value => SecretKeys::from_str(value).map(Some),
        });
        let file = read.parse("SESSION_SECRET_FILE", Some(".session-secret"), |v| Ok(PathBuf::from(v)));
        let cookie_secure = read.parse("COOKIE_SECURE", Some("true"), boolean);
        let new_sessions_per_minute =
            read.parse("NEW_SESSIONS_PER_MINUTE", Some("6000"), new_sessions_per_minute);
        let trusted_proxies = read.parse("TRUSTED_PROXIES", Some(""), TrustedProxies::from_str);
        let log_format = read.parse("LOG_FORMAT", Some("pretty"), log_format);
        let log_filter =
            read.parse("RUST_LOG", Some("info,actix_server=warn,actix_session=error,sqlx=warn"), log_filter);
        read.finish(|| {
            Some(Self {
                database_url: database_url?,
                database_max_connections: database_max_connections?,
                workers: workers?,
                bind_address: bind_address?,
                session_secret: match secret? {
                    Some(keys) => SecretSource::Keys(keys),
                    None => SecretSource::File(file?),
                },
                session_idle_timeout: session_idle_timeout?,
                session_max_age: session_max_age?,
                cookie_secure: cookie_secure?,
                new_sessions_per_minute: new_sessions_per_minute?,
                trusted_proxies: trusted_proxies?,
                log_format: log_format?,
                log_filter: log_filter?,
            })
        })
    }
}

impl fmt::Debug for Config {
    /// Everything that is no secret: it is logged at the start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.database_url;
        f.debug_struct("Config")
            .field("database_host", &url.get_host())
            .field("database_port", &url.get_port())
            .field("database_name", &url.get_database())
            .field("database_user", &url.get_username())
            .field("database_max_connections", &self.database_max_connections)
            .field("workers", &self.workers)
            .field("bind_address", &self.bind_address)
            .field("session_secret", &self.session_secret)
            .field("session_idle_timeout", &self.session_idle_timeout)
            .field("session_max_age", &self.session_max_age)
            .field("cookie_secure", &self.cookie_secure)
            .field("new_sessions_per_minute", &self.new_sessions_per_minute)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("log_format", &self.log_format)
            .field("log_filter", &self.log_filter)
            .finish()
    }
}

struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// The variable `name`, or `default`, through `parse`, whose error says what the variable takes. A wrong value is
    /// noted, not shown: it may be a secret in the wrong place.
    fn parse<T>(
        &mut self,
        name: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let set = (self.lookup)(name).filter(|value| !value.trim().is_empty());
        let parsed = match set.as_deref().or(default) {
            Some(value) => parse(value.trim()).map_err(|takes| format!("{name}: takes {takes}")),
            None => Err(format!("{name}: is not set; takes {}", parse("").err().unwrap_or_default())),
        };
        parsed.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn finish<T>(self, config: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        match config() {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => Err(ConfigError(self.problems)),
        }
    }
}

fn database_url(value: &str) -> Result<PgConnectOptions, String> {
    let takes = "a PostgreSQL URL, such as postgres://user:password@localhost:5432/name";
    if !(value.starts_with("postgres://") || value.starts_with("postgresql://")) {
        return Err(takes.into());
    }
    value.parse().map_err(|_| takes.into())
}

fn connections(value: &str) -> Result<u32, String> {
    value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| "a number from 1 to 1000".into())
}

fn workers(value: &str) -> Result<usize, String> {
    if value.is_empty() {
        return Ok((thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, 4));
    }
    value.parse().ok().filter(|n| (1..=64).contains(n)).ok_or_else(|| "a number from 1 to 64".into())
}

fn new_sessions_per_minute(value: &str) -> Result<Option<NonZeroU32>, String> {
    let number = value.parse().ok().filter(|n| (0..=1_000_000).contains(n));
    number.map(NonZeroU32::new).ok_or_else(|| "a number from 0 (no limit) to 1000000".into())
}

fn duration(least: &'static str, most: &'static str) -> impl Fn(&str) -> Result<Duration, String> {
    move |value| {
        let range = |text| humantime::parse_duration(text).expect("the limits are durations");
        humantime::parse_duration(value)
            .ok()
            // Whole seconds: PostgreSQL's clock is coarser than ours, and would refuse a nanosecond.
            .filter(|d| (range(least)..=range(most)).contains(d) && d.subsec_nanos() == 0)
            .ok_or_else(|| format!("a time in whole seconds, such as 30m or 8h, from {least} to {most}"))
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "true or false".into())
}

fn log_format(value: &str) -> Result<LogFormat, String> {
    match value {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("pretty or json".into()),
    }
}

fn log_filter(value: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(value)
        .map(|_| value.to_owned())
        .map_err(|_| "log directives, such as info or warn,actix_postgres_sessions=debug".into())
}
