//! The app from outside, over HTTP: one file for each page or subject.

#[path = "../support/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod assets;
mod connections;
mod cookie_choice;
mod cookies;
mod cross_origin;
mod errors;
mod experiments; // demo
mod flash;
mod headers;
mod limits; // demo
mod log;
mod logout;
mod readiness;
mod request_limits;
mod secrets;
mod session;
mod visits; // demo
mod welcome;
