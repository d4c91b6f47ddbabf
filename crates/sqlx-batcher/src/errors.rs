//! What a database error means, by the class of its
//! [code](https://www.postgresql.org/docs/current/errcodes-appendix.html).

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::Error;

/// Returns whether the database is unavailable, so that a later call may succeed. Any other error is most likely a bug.
///
/// These SQLSTATE classes count: a broken connection (08), insufficient resources (53), an unavailable lock (55),
/// operator intervention (57) and a system error (58). So do 25006 (a standby) and any error that closes the
/// connection. For example, a server whose disk is full may refuse connections with an internal error.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    match error {
        Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
            matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                || ["08", "25006", "53", "55", "57", "58"].iter().any(|start| error.code().starts_with(start))
        }),
        Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => true,
        _ => false,
    }
}

impl Error {
    /// Returns whether the database is unavailable, so that a later call may succeed ([`is_unavailable`]).
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Database(error) => is_unavailable(error),
            Self::TimedOut | Self::Overloaded => true,
            Self::Panicked => false,
        }
    }
}

/// Returns whether PostgreSQL refused the statement, perhaps because of a single item: bad data (21, 22, 23, 44), a
/// conflict (40), an exceeded limit (54), a lock (55), an exception in a trigger (P0), or a damaged row (XX).
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let classes = ["21", "22", "23", "40", "44", "54", "55", "P0", "XX"];
    // 40003 is statement_completion_unknown: in a distributed database, the write may have been committed.
    code.is_some_and(|code| code != "40003" && classes.iter().any(|class| code.starts_with(class)))
}

/// Returns whether another attempt may succeed, because this is a serialization failure, a deadlock or a lock timeout.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01" | "55P03"))
}
