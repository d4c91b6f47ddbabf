//! A PostgreSQL server for a test that needs a superuser or can't share a server with other tests.

use dev::Postgres;

use crate::support::TestDatabase;

impl TestDatabase {
    /// Creates a database on its own server, even if `DATABASE_URL` is set.
    pub async fn on_own_server() -> Self {
        let postgres = Postgres::temporary().unwrap_or_else(|error| panic!("{error:#}"));
        Self::at(postgres.url("postgres"), postgres).migrated().await
    }
}
