//! The private PostgreSQL behind `cargo dev` and `cargo test`. It helps developers and ships nowhere.
//!
//! - [`Postgres`] starts a server from the programs that are installed, and sees to its end.
//! - [`test_database_server`] is the server of a test process: the one of `DATABASE_URL`, or a
//!   temporary one.
//! - [`Kept`] is any other program that is to end with us.
//!
//! It knows nothing of the app: schema, migrations and one database a test are the tests' own.
//! `main.rs` is `cargo dev`.

#![forbid(unsafe_code)]

mod kept;
pub mod postgres;
pub mod process;
mod test_server;

pub use kept::Kept;
pub use postgres::Postgres;
pub use test_server::{TestServer, test_database_server};
