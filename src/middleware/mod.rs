//! What a request passes on its way to a page and a response on its way back, one file each. [`crate::app()`] puts them in
//! order.

pub mod cross_origin;
pub mod deadline;
pub mod error_pages;
pub mod new_sessions;
pub mod request_limits;
pub mod security_headers;
pub mod session_cookie;
pub mod stopping;
pub mod trusted_proxies;
