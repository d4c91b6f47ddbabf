//! The store behind actix-session's middleware: which cookies a browser gets, and what a session holds.

#[path = "../support/mod.rs"]
mod support;

mod cookies;
mod failures;
mod logins;
mod races;
mod site;
mod typed;
