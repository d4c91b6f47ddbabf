//! What a request passes on its way to a page and a response on its way back, one file each. [`crate::app`] puts them in
//! order.

pub mod cross_origin;
pub mod error_pages;
pub mod new_sessions;
pub mod security_headers;
pub mod session_cookie;
pub mod trusted_proxies;
