//! Tests of what the crate doesn't export.

use dev::test_server;
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};

use crate::sql::{Sql, replanned};
use crate::table;

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let mut connection = PgConnection::connect(&test_server().admin_url).await.expect("connected");
    for (name, owner) in [("sessions", "UUID"), ("user", "INT8"), ("order_1", "TEXT")] {
        let table = table::parse(&format!("pg_temp.{name}")).expect("a name");
        table::create(&table, owner, &mut connection).await.expect("created");
        for text in Sql::new(&table, owner).all() {
            connection.prepare(replanned(text).into_sql_str()).await.expect(text);
        }
    }
}
