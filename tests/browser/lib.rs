//! Chromium for the browser tests.

#![forbid(unsafe_code)]

mod browser;
mod driver;

pub use browser::Browser;
