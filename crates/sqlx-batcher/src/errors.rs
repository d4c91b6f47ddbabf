//! What a database error means: whether PostgreSQL refused the statement, and whether another attempt may succeed.
//! This depends on the class of the error code. See PostgreSQL's [error
//! codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).

use std::borrow::Cow;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::Error;

/// Returns whether the database is unavailable: it can't be reached, didn't respond in time, or is out of
/// resources. Any other error is most likely a bug.
///
/// These SQLSTATE classes count: a broken connection (08), insufficient resources (53), an unavailable lock (55),
/// operator intervention (57) and a system error (58). So does the code 25006, which means that the server is a
/// standby. An error that closes the connection also counts. For example, a server whose disk is full may refuse
/// connections with an internal error.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
            matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                || matches!(error.code().get(..2), Some("08" | "53" | "55" | "57" | "58"))
                || error.code() == "25006"
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
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

/// Returns whether PostgreSQL refused the statement, perhaps because of a single item. These SQLSTATE classes count:
/// bad data (21, 22, 23, 44), a conflict with another transaction (40), an exceeded limit (54), a lock (55), an
/// exception in a trigger or function (P0), and a damaged row (XX).
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    // 40003 is statement_completion_unknown: in a distributed database, the write may have been committed.
    code(error).is_some_and(|code| {
        let class = code.get(..2);
        code != "40003" && matches!(class, Some("21" | "22" | "23" | "40" | "44" | "54" | "55" | "P0" | "XX"))
    })
}

/// Returns whether another attempt may succeed, because this is a serialization failure, a deadlock or a lock timeout.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "55P03"))
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}
