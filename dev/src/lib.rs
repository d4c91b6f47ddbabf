//! The private PostgreSQL behind `cargo dev` and `cargo test`. `main.rs` is the `cargo dev` program.

#![forbid(unsafe_code)]

mod kept;
pub mod postgres;
pub mod process;
mod project;
mod test_server;

pub use kept::Kept;
pub use postgres::{Home, Postgres};
pub use project::{cargo, command, project};
pub use test_server::{TestServer, test_database_server};
