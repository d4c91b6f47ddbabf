//! Which connections are closed, and what they can't do before that.

mod idle;
mod responses;
mod server;
