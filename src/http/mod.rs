//! The layers between a request and a page. [`crate::app`] lists them in the order in which a request passes through them.

pub mod client;
pub mod deadline;
pub mod error_pages;
pub mod request_limits;
pub mod request_log;
pub mod same_origin;
pub mod security_headers;
pub mod session_cookie;
