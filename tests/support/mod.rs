//! What the tests stand on: a migrated database for each, the application on a port of its own, a browser without a
//! window, and the log.

// Each test program takes what it needs.
#![allow(dead_code, unused_imports)]

mod app;
mod database;
pub mod log;
mod login;
mod process;

pub use app::{Page, TestApp};
pub use database::TestDatabase;
pub use login::LoginApp;
pub use process::Process;
