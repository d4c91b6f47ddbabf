//! The app from outside, mostly over HTTP: one file for each page or subject.

#[path = "../support/mod.rs"]
mod support;

mod assets;
mod cookies;
mod cross_origin;
mod errors;
mod experiments; // demo
mod headers;
mod limits; // demo
mod log;
mod logout;
mod readiness;
mod requests;
mod secrets;
mod visitors; // demo
mod visits; // demo
mod welcome;
