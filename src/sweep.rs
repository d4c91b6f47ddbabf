//! Deletes expired rows: sessions, and the counts of visitors whose sessions have ended.

use std::time::Duration;

use sqlx::PgPool;
use sqlx_batcher::acquire; // demo
use tokio::time::sleep;

use crate::{Config, session};

const INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of visitors that one statement deletes, so that no visit waits long for a lock.
const BATCH: u64 = 200; // demo

/// Sweeps immediately, and then about once a minute. Any number of replicas can do this.
pub async fn sweep_forever(config: &Config, pool: &PgPool) -> ! {
    let _sessions = session::store(config, pool).sweep_every(INTERVAL);
    loop {
        // demo: begin
        match sweep_visitors(pool).await {
            Ok(0) => {}
            Ok(visitors) => tracing::info!(visitors, "swept visitors without a session"),
            Err(error) => tracing::warn!(%error, "the sweep of visitors failed; trying again"),
        }
        // demo: end
        sleep(INTERVAL).await;
    }
}

/// Deletes expired sessions, and shortens those that exceed the current settings. Returns how many it deleted.
pub async fn sweep_sessions(config: &Config, pool: &PgPool) -> sqlx::Result<u64> {
    let store = session::store(config, pool);
    while store.shorten(2_000).await? > 0 {}
    let mut total = 0;
    while let deleted @ 1.. = store.sweep(1_000).await? {
        total += deleted;
    }
    Ok(total)
}

// demo: begin
/// Deletes all visitors whose sessions can no longer be valid, and returns how many.
pub async fn sweep_visitors(pool: &PgPool) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let delete = sqlx::query!(
            "
            delete from visitors
            where id = any(array(
                select id
                from visitors
                where keep_until < (now() at time zone 'UTC')::date
                order by keep_until
                limit $1
            ))
            and keep_until < (now() at time zone 'UTC')::date
            ",
            BATCH as i64,
        );
        let deleted = delete.execute(&mut *acquire(pool).await?).await?.rows_affected();
        metrics::counter!("visitors_swept_total").increment(deleted);
        total += deleted;
        if deleted < BATCH {
            return Ok(total);
        }
        // Leaves most of the database's time for visits.
        sleep(Duration::from_millis(20)).await;
    }
}
// demo: end
