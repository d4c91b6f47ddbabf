//! The table's name, and how to create the table.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The SQL that creates the `sessions` table, with an owner of type `uuid`, and its indexes. Copy it into your own
/// migrations if you don't want to call [`migrate`](crate::PgSessionStore::migrate).
pub const MIGRATION: &str = include_str!("../migrations/sessions.sql");

/// Maximum length of the table's name. The longest index name is 17 characters longer.
const MAX_NAME: usize = 63 - "_expires_hour_idx".len();

/// The error if the name passed to [`PgSessionStore::table`](crate::PgSessionStore::table) isn't valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table's name must be `table` or `schema.table`. Both parts can contain lowercase letters, digits and \
     underscores, and the table can have at most {MAX_NAME} characters: {0:?}"
)]
pub struct InvalidTable(String);

/// A table. Its schema and its name are plain identifiers, so they are safe in SQL.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The name without the schema.
    name: String,
    /// The name in SQL, with the schema if there is one.
    pub sql: String,
}

impl Table {
    pub fn parse(name: &str) -> Result<Self, InvalidTable> {
        let table = name.split_once('.').map_or(name, |(_, table)| table);
        if table.contains('.') || table.len() > MAX_NAME || !name.split('.').all(is_identifier) {
            return Err(InvalidTable(name.to_owned()));
        }
        // Without quotation marks, a keyword such as `user` would mean something else.
        let sql =
            if name == "sessions" { name.to_owned() } else { format!("\"{}\"", name.replace('.', "\".\"")) };
        Ok(Self { name: table.to_owned(), sql })
    }

    /// Creates the table and its indexes if they don't exist.
    pub async fn create(&self, owner: &str, connection: &mut PgConnection) -> sqlx::Result<()> {
        let mut transaction = connection.begin().await?;
        // If two `create table if not exists` statements run concurrently, one of them can fail.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("actix-session-postgres migrate {}", self.sql))
            .execute(&mut *transaction)
            .await?;
        // The names of constraints and indexes have no schema. PostgreSQL creates them in the table's schema.
        let migration = MIGRATION
            .replace("sessions_", &format!("{}_", self.name))
            .replace(" sessions ", &format!(" {} ", self.sql))
            .replace(" sessions.", &format!(" {}.", self.sql))
            .replace("owner uuid", &format!("owner {owner}"));
        sqlx::raw_sql(AssertSqlSafe(migration)).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

fn is_identifier(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 63 && name.bytes().all(is_plain) && name.starts_with(|first: char| !first.is_ascii_digit())
}
