//! Servers that only the lab uses: Redis and PgBouncer. They are private, like the PostgreSQL server of `cargo dev`.

#![forbid(unsafe_code)]

mod pgbouncer;
mod redis;

pub use pgbouncer::PgBouncer;
pub use redis::Redis;
