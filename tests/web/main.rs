//! The application from outside, over HTTP: a file for each page or subject.

#[path = "../support/mod.rs"]
mod support;

mod assets;
mod cookies;
mod cross_origin;
mod errors;
mod headers;
mod limits;
mod log;
mod logout;
mod rotation;
mod statements;
mod visits;
mod welcome;
