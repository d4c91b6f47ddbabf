//! The layers between a request and a page. [`crate::app`] lists them in the order that a request passes them.

pub mod deadline;
pub mod error_pages;
pub mod origin;
pub mod request_log;
pub mod security_headers;
pub mod session_cookie;
