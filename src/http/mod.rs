//! The layers between a request and a page. [`crate::app`] lists them with their reasons.

pub mod client;
pub mod deadline;
pub mod error_pages;
pub mod request_limits;
pub mod request_log;
pub mod route;
pub mod same_origin;
pub mod security_headers;
pub mod session_cookie;
