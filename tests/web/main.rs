//! The app from outside, over HTTP: one file for each page or subject.

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod assets;
mod connections;
mod cookie_choice;
mod cookies;
mod cross_origin;
mod errors;
mod experiments;
mod flash;
mod headers;
mod limits;
mod log;
mod logout;
mod readiness;
mod request_limits;
mod secrets;
mod session;
mod statements;
mod visits;
mod welcome;
