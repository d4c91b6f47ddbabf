//! A PostgreSQL server for a test that needs a superuser or can't share a server with other tests.

use dev::Postgres;

use crate::support::TestDatabase;

impl TestDatabase {
    /// Creates a database on its own server, even if `DATABASE_URL` is set.
    pub async fn on_own_server() -> Self {
        Self::on_server_with(&[]).await
    }

    /// Creates a database on its own server with settings such as `("max_connections", "10")`.
    pub async fn on_server_with(settings: &[(&str, &str)]) -> Self {
        let postgres = Postgres::temporary(settings).unwrap_or_else(|error| panic!("{error:#}"));
        Self::at(postgres.url("postgres"), postgres).migrated().await
    }
}
