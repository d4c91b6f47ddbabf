#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod checks;
mod memory;
mod report;
mod session;
mod subject;

pub use checks::ends::undone_logouts;
pub use memory::MemorySessionStore;
pub use report::{Finding, Report, run};
pub use subject::Subject;
