//! A test process's PostgreSQL server.

use std::sync::OnceLock;

use crate::{Postgres, postgres::random};

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
        let (server, query) =
            self.admin_url.split_at(self.admin_url.find('?').unwrap_or(self.admin_url.len()));
        let host = server.find("://").map_or(0, |at| at + 3);
        let end = server[host..].find('/').map_or(server.len(), |at| host + at);
        format!("{}/{database}{query}", &server[..end])
    }

    /// Whether the server stops with this process.
    pub fn is_temporary(&self) -> bool {
        self.own.is_some()
    }

    /// Returns a name that no other test uses.
    pub fn new_database_name(&self) -> String {
        format!("test_{}", random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_changes_only_the_name_of_the_database() {
        let server = TestServer { admin_url: "postgres://u:p@h:1/a?sslmode=off".into(), own: None };
        assert_eq!(server.url("b"), "postgres://u:p@h:1/b?sslmode=off");
    }
}
