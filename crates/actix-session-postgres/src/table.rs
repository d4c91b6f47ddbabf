//! The table's name, and how to create the table.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The SQL that creates the `sessions` table, with an owner of type `uuid`. Copy it into your own migrations if you
/// don't call [`migrate`](crate::PgSessionStore::migrate).
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

/// Returns the table's name in SQL. Both parts are plain identifiers and can't inject SQL.
pub(crate) fn parse(name: &str) -> Result<String, InvalidTable> {
    let table = name.split_once('.').map_or(name, |(_, table)| table);
    if table.contains('.') || table.len() > MAX_NAME || !name.split('.').all(is_identifier) {
        return Err(InvalidTable(name.to_owned()));
    }
    // Without quotation marks, a keyword such as `user` would mean something else.
    Ok(if name == "sessions" { name.to_owned() } else { format!("\"{}\"", name.replace('.', "\".\"")) })
}

/// Creates the table and its indexes if they don't exist. `table` is its name in SQL.
pub(crate) async fn create(table: &str, owner: &str, connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    // If two `create table if not exists` statements run concurrently, one of them can fail.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("actix-session-postgres migrate {table}"))
        .execute(&mut *transaction)
        .await?;
    // The names of constraints and indexes have no schema. PostgreSQL creates them in the table's schema.
    let name = table.rsplit('"').nth(1).unwrap_or(table);
    let migration = MIGRATION
        .replace("sessions_", &format!("{name}_"))
        .replace(" sessions ", &format!(" {table} "))
        .replace(" sessions.", &format!(" {table}."))
        .replace("owner uuid", &format!("owner {owner}"));
    sqlx::raw_sql(AssertSqlSafe(migration)).execute(&mut *transaction).await?;
    transaction.commit().await
}

fn is_identifier(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 63 && name.bytes().all(is_plain) && name.starts_with(|first: char| !first.is_ascii_digit())
}
