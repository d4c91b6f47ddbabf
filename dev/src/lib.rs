//! The private PostgreSQL behind `cargo dev` and `cargo test`, and temporary servers that tests need besides it. `main.rs` is the
//! program `cargo dev`.

#![forbid(unsafe_code)]

mod kept;
mod pgbouncer;
pub mod postgres;
pub mod process;
mod redis;
mod test_server;

pub use kept::Kept;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use redis::Redis;
pub use test_server::{TestServer, test_database_server};
