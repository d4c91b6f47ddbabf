#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod memory;
mod promise;
mod promises;
mod report;
mod subject;

pub use memory::MemorySessionStore;
pub use promise::Promise;
pub use promises::races::revived_sessions;
pub use report::{Finding, Outcome, Report, run};
pub use subject::Subject;
