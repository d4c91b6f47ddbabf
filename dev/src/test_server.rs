//! The PostgreSQL server of a test process.

use std::{
    collections::hash_map::RandomState,
    env,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher},
    process::{self, Command},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{Postgres, process::is_running};

/// The server on which the tests of this process make their databases.
///
/// # Names of databases
/// [`TestServer::new_database_name`] gives `test_<machine>_<pid>_<n>_<random>`. Tests drop their
/// database at their end, but a run that is killed cannot, and with `DATABASE_URL` it would stay:
/// so every run drops the databases for which [`TestServer::is_leftover`] says yes.
#[derive(Debug)]
pub struct TestServer {
    /// With the password, and with a database that is there.
    admin_url: String,
    /// Kept here for its lifetime: that of the process.
    _own: Option<Postgres>,
}

/// The server of this test process: the one of `DATABASE_URL` where that is set, else a temporary
/// one, started at the first call. It ends with the process, in whatever way that ends.
///
/// # Panics
/// Where there is no `DATABASE_URL` and no PostgreSQL starts: the message says what to do.
pub fn test_database_server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("DATABASE_URL") {
        Ok(admin_url) if !admin_url.is_empty() => TestServer { admin_url, _own: None },
        _ => match Postgres::temporary() {
            Ok(postgres) => TestServer { admin_url: postgres.url("postgres"), _own: Some(postgres) },
            Err(error) => panic!("{error:#}"),
        },
    })
}

impl TestServer {
    /// Where to create and drop databases: a connection to one that is there already.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// The URL of another database of the same server.
    pub fn url(&self, database: &str) -> String {
        with_database(&self.admin_url, database)
    }

    /// Whether the server belongs to this process alone, and goes with it.
    pub fn is_temporary(&self) -> bool {
        self._own.is_some()
    }

    /// A name that no other test has, in this process or another.
    pub fn new_database_name(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // The standard library's maps are seeded at random: enough for names.
        let random = RandomState::new().hash_one(n) as u32;
        format!("test_{}_{}_{n}_{random:08x}", machine(), process::id())
    }

    /// Whether a database of this name was left by a test process of this machine that has ended.
    pub fn is_leftover(&self, database: &str) -> bool {
        let mut parts = database.split('_');
        let (test, place, pid) = (parts.next(), parts.next(), parts.next());
        test == Some("test")
            && place == Some(machine())
            && pid.is_some_and(|pid| pid.parse().is_ok_and(|pid| !is_running(pid)))
    }
}

/// A short name for this machine or container: process ids mean nothing on another.
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let name = Command::new("uname").arg("-n").output();
        let mut hasher = DefaultHasher::new();
        name.map(|output| output.stdout).unwrap_or_default().hash(&mut hasher);
        format!("{:08x}", hasher.finish() as u32)
    })
}

/// The URL with another database, and the same parameters.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let server_begins = address.find("://").map_or(0, |at| at + 3);
    let server_ends = address[server_begins..].find('/').map_or(address.len(), |at| server_begins + at);
    format!("{}/{database}{parameters}", &address[..server_ends])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (given, expected) in [
            ("postgres://u:p@h:1/a?sslmode=off", "postgres://u:p@h:1/b?sslmode=off"),
            ("postgres://u@h/a", "postgres://u@h/b"),
            ("postgres://h", "postgres://h/b"),
            ("postgres:///a?host=/run/postgresql", "postgres:///b?host=/run/postgresql"),
        ] {
            assert_eq!(with_database(given, "b"), expected);
        }
    }

    #[test]
    fn a_database_is_left_over_only_when_its_process_has_ended() {
        let server = TestServer { admin_url: String::new(), _own: None };

        let own = server.new_database_name();
        let ended = own.replacen(&format!("_{}_", process::id()), "_2147483647_", 1);
        let elsewhere = ended.replacen(machine(), "elsewhere", 1);

        assert!(!server.is_leftover(&own), "{own}");
        assert!(server.is_leftover(&ended), "{ended}");
        assert!(!server.is_leftover(&elsewhere), "{elsewhere}");
        assert!(!server.is_leftover("postgres"));
    }
}
