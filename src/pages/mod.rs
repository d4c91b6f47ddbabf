//! The pages. Each file contains a page's template struct and all of its handlers.

pub mod experiments; // demo
pub mod health;
pub mod logout;
pub mod visits; // demo
pub mod welcome;
