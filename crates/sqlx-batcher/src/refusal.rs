//! Recognizes errors after which PostgreSQL has rolled a statement back, so that it can be sent again. See
//! [PostgreSQL's error codes](https://www.postgresql.org/docs/current/errcodes-appendix.html).

/// Returns whether PostgreSQL refused the statement, perhaps because of a single item. The SQLSTATE classes are bad data
/// (21, 22, 23, 44), a conflict with another transaction (40), an exceeded limit (54), a lock (55), an exception in a
/// trigger or function (P0), and a damaged row (XX).
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    match code(error).as_deref() {
        // statement_completion_unknown: distributed databases use it if the write may have been committed.
        Some("40003") | None => false,
        Some(code) => {
            matches!(code.get(..2), Some("21" | "22" | "23" | "40" | "44" | "54" | "55" | "P0" | "XX"))
        }
    }
}

/// Returns whether another attempt may succeed: a serialization failure, a deadlock, or a lock timeout.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "55P03"))
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error()?.code()
}
