//! A test process's PostgreSQL server.

use std::process::{self, Command};
use std::sync::OnceLock;

use crate::{Postgres, postgres::random, process::is_running};

/// The server on which this process's tests create their databases.
#[derive(Debug)]
pub struct TestServer {
    admin_url: String,
    /// Kept here so that it runs as long as this process.
    own: Option<Postgres>,
}

/// Returns the server for this test process: the one in `DATABASE_URL`, or a temporary one. Panics if that fails.
pub fn test_database_server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(admin_url) if !admin_url.is_empty() => TestServer { admin_url, own: None },
        _ => {
            let postgres = Postgres::temporary().unwrap_or_else(|error| panic!("{error:#}"));
            TestServer { admin_url: postgres.url("postgres"), own: Some(postgres) }
        }
    })
}

impl TestServer {
    /// The URL of an existing database. Connect to it to create or drop other databases.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Returns the URL of a different database on this server.
    pub fn url(&self, database: &str) -> String {
        let url = &self.admin_url;
        let end = url.find('?').unwrap_or(url.len());
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..end].find('/').map_or(end, |at| host + at);
        format!("{}/{database}{}", &url[..path], &url[end..])
    }

    /// Whether the server stops with this process.
    pub fn is_temporary(&self) -> bool {
        self.own.is_some()
    }

    /// Returns a name that no other test uses: `test_<machine>_<pid>_<random>`.
    ///
    /// A killed test can't drop its database. Later runs drop the databases for which [`Self::is_leftover`] is true.
    pub fn new_database_name(&self) -> String {
        format!("test_{}_{}_{}", machine(), process::id(), &random()[..16])
    }

    /// Returns whether a test process on this machine has exited and left this database behind.
    pub fn is_leftover(&self, database: &str) -> bool {
        let rest = database.strip_prefix(&format!("test_{}_", machine()));
        let pid = rest.and_then(|rest| rest.split('_').next()?.parse().ok());
        pid.is_some_and(|pid| !is_running(pid))
    }
}

/// A short name for this machine or container, because process IDs are only valid on one machine.
fn machine() -> String {
    let name = Command::new("uname").arg("-n").output().map(|output| output.stdout).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).to_lowercase();
    name.chars().filter(char::is_ascii_alphanumeric).take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_changes_only_the_name_of_the_database() {
        let server = TestServer { admin_url: "postgres://u:p@h:1/a?sslmode=off".into(), own: None };
        assert_eq!(server.url("b"), "postgres://u:p@h:1/b?sslmode=off");
    }

    #[test]
    fn a_test_database_is_a_leftover_once_its_process_has_exited() {
        let server = TestServer { admin_url: String::new(), own: None };
        let own = server.new_database_name();
        let ended = own.replacen(&format!("_{}_", process::id()), "_2147483647_", 1);

        assert!(!server.is_leftover(&own), "{own}");
        assert!(server.is_leftover(&ended), "{ended}");
        assert!(!server.is_leftover(&ended.replacen(&machine(), "elsewhere", 1)));
        assert!(!server.is_leftover("postgres"));
    }
}
