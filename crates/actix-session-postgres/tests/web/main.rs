//! Tests the store behind actix-session's middleware: the cookies that a browser receives, and the contents
//! of a session.

#[path = "../support/mod.rs"]
mod support;

mod cookies;
mod failures;
mod logins;
mod races;
mod site;
mod typed;
