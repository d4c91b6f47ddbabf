//! The table's name, and how to create the table.

use std::fmt;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The SQL that creates the table `sessions`, with an owner of type `uuid`, and its indexes. Copy it into your own
/// migrations if you don't want to call [`migrate`](crate::PgSessionStore::migrate).
pub const MIGRATION: &str = include_str!("../migrations/sessions.sql");

/// Maximum length of the table's name. The longest name of an index is 17 characters longer.
const MAX_NAME: usize = 63 - "_expires_hour_idx".len();

/// The error if the name passed to [`PgSessionStore::table`](crate::PgSessionStore::table) isn't valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table's name must be `table` or `schema.table`. Both parts can contain lowercase letters, digits and \
     underscores, and the table can have at most {MAX_NAME} characters: {0:?}"
)]
pub struct InvalidTable(String);

/// The name of a table, with or without its schema. Both are plain identifiers, so they are safe in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    schema: Option<String>,
    name: String,
}

impl Table {
    pub fn parse(name: &str) -> Result<Self, InvalidTable> {
        let (schema, table) =
            name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
        let is_valid =
            schema.is_none_or(|schema| is_identifier(schema, 63)) && is_identifier(table, MAX_NAME);
        if !is_valid {
            return Err(InvalidTable(name.to_owned()));
        }
        Ok(Self { schema: schema.map(str::to_owned), name: table.to_owned() })
    }

    /// Creates the table and its indexes if they don't exist.
    pub async fn create(&self, owner: &str, connection: &mut PgConnection) -> sqlx::Result<()> {
        let mut transaction = connection.begin().await?;
        // If two `create table if not exists` statements run concurrently, one of them can fail.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("actix-session-postgres migrate {self}"))
            .execute(&mut *transaction)
            .await?;
        sqlx::raw_sql(AssertSqlSafe(self.migration(owner))).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Returns [`MIGRATION`] for this table.
    fn migration(&self, owner: &str) -> String {
        // The names of constraints and indexes have no schema. PostgreSQL creates them in the table's schema.
        MIGRATION
            .replace("sessions_", &format!("{}_", self.name))
            .replace(" sessions ", &format!(" {self} "))
            .replace(" sessions.", &format!(" {self}."))
            .replace("owner uuid", &format!("owner {owner}"))
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { schema: None, name: "sessions".into() }
    }
}

/// Writes the name as SQL. Without quotation marks, a keyword such as `user` would mean something else.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str(&self.name);
        }
        if let Some(schema) = &self.schema {
            write!(f, "\"{schema}\".")?;
        }
        write!(f, "\"{}\"", self.name)
    }
}

fn is_identifier(name: &str, max: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= max && name.bytes().all(is_plain) && name.starts_with(|first: char| !first.is_ascii_digit())
}
