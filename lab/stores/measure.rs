//! Measures each store with its server.

use app::visitors::VisitCounter;
use futures_util::future::try_join_all;
use session_store_suite::Subject;
use sqlx::PgPool;
use uuid::Uuid;

use crate::column::{Column, Visits, measure, survivors};
use crate::kind::Kind;
use crate::subjects::{Cookie, InPostgres, InRedis, Memory};

/// Measures a store with its server.
pub async fn column(kind: Kind) -> Column {
    match kind {
        Kind::Memory => {
            let subject = Memory::default();
            let store = subject.store().await;
            measure(kind, &subject, move || store.clone(), async |_| 0).await
        }
        Kind::Cookie => {
            measure(kind, &Cookie, actix_session::storage::CookieSessionStore::default, async |_| 0).await
        }
        Kind::Redis => {
            // This makes it as durable as PostgreSQL. With `appendfsync everysec`, a crash can lose the last writes.
            let subject = InRedis::new(&[("appendonly", "yes"), ("appendfsync", "always")]);
            let store = subject.store().await;
            let count = async |visits: Visits| commands(&subject, visits).await;
            let column = measure(kind, &subject, move || store.clone(), count).await;
            Column { survivors_with_defaults: Some(survivors(&InRedis::new(&[])).await), ..column }
        }
        Kind::Postgres => {
            let subject = InPostgres::new().await;
            let pool = subject.another_pool();
            let count = async |visits: Visits| statements(&subject.pool, visits).await;
            let store = move || actix_session_postgres::PgSessionStore::new(pool.clone());
            let counted_in_table = Some(counted_in_table(&subject.pool).await);
            Column { counted_in_table, ..measure(kind, &subject, store, count).await }
        }
    }
}

/// Returns how many commands Redis runs per visit.
async fn commands(subject: &InRedis, visits: Visits) -> u64 {
    let mut connection = subject.connection();
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection).expect("reset");
    visits.make().await;
    let statistics: String =
        redis::cmd("INFO").arg("commandstats").query(&mut connection).expect("statistics");
    // A line is, for example, `cmdstat_get:calls=10,usec=23,…`.
    let calls = statistics
        .lines()
        .filter(|line| !line.contains("cmdstat_config"))
        .filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok());
    calls.sum::<u64>() / Visits::COUNT
}

/// Returns how many statements PostgreSQL runs per visit.
async fn statements(pool: &PgPool, visits: Visits) -> u64 {
    sqlx::raw_sql("select pg_stat_statements_reset()").execute(pool).await.expect("reset");
    visits.make().await;
    let sql = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query like '%sessions%'";
    let calls: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.expect("statistics");
    calls.unsigned_abs() / Visits::COUNT
}

async fn counted_in_table(pool: &PgPool) -> u64 {
    let (counter, visitor) = (VisitCounter::new(pool, std::time::Duration::from_secs(60)), Uuid::now_v7());
    let before = counter.count(visitor).await.expect("counted");
    let counts = try_join_all((0..200).map(|_| counter.count(visitor))).await.expect("counted");
    counts.into_iter().max().map_or(0, |after| after.abs_diff(before))
}
