//! Removes expired sessions from the table. They are invalid already, so this only keeps the table from growing.

use sqlx::PgPool;

/// Deletes up to `limit` sessions that expired before the current hour and returns how many.
pub(crate) async fn delete_expired(pool: &PgPool, limit: i64) -> sqlx::Result<u64> {
    // Several replicas may sweep at the same time. Each one skips the rows that another is deleting.
    let deleted = sqlx::query!(
        "
        delete from sessions
        where id = any(array(
            select id
            from sessions
            where expires_hour < date_trunc('hour', now() at time zone 'UTC')
            order by expires_hour
            limit $1
            for update skip locked
        ))
        ",
        limit,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
