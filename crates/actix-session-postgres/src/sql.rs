//! The text of every SQL statement. All times come from PostgreSQL's clock, and each session's limits from its row.
//!
//! The statements also work on a table that [Citus](https://www.citusdata.com) has distributed by `id`. That is why a
//! rotation deletes the old row and inserts a new one. Citus rejects calculations with a `timestamptz` column that
//! depend on the time zone, such as `+ interval` and `extract`. So updates calculate times with `to_timestamp`.
//! `date_part` is faster than `extract`, which calculates with `numeric`.

use std::time::UNIX_EPOCH;

use sqlx::AssertSqlSafe;

/// Whether the idle timer was last reset at least a minute ago (or half the idle time, if that is less).
const IS_DUE: &str = "expires_at < ends_at
    and expires_at < to_timestamp(date_part('epoch', now()) + idle_seconds - least(60, idle_seconds / 2))";

/// The new expiry of a session that is used now.
const IF_USED_NOW: &str = "least(to_timestamp(date_part('epoch', now()) + idle_seconds), ends_at)";

/// The new end of a session that exceeds the maximum age `$3`. Its `created_at` may be in the future (see `OUTLASTS`).
const SHORTENED_END: &str =
    "to_timestamp(extract(epoch from least(created_at, now()) - to_timestamp(0)) + $3::int)";

/// Whether a session exceeds the idle time `$2` or the maximum age `$3`, or started while the database's clock was
/// ahead. The minute allows for sessions that started after this transaction did.
const OUTLASTS: &str = "(idle_seconds > $2::int or ends_at - created_at > make_interval(secs => $3::int)
    or created_at > now() + interval '1 minute')";

/// The columns of a new session and their values.
const COLUMNS: &str = "(id, state, owner, expires_at, idle_seconds, ends_at, remembered)";
const VALUES: &str = "$1, $2::text::json, $3, now() + make_interval(secs => least($4::int, $5::int)), $4,
    now() + make_interval(secs => $5::int), $6";

macro_rules! statements {
    (|$table:ident, $owner:ident| $($name:ident: $sql:literal,)*) => {
        pub(crate) struct Sql { $(pub $name: String,)* }

        impl Sql {
            /// Formats the statements for one table, whose `owner` column has this SQL type.
            pub fn new($table: &str, $owner: &str) -> Self {
                Self { $($name: format!($sql),)* }
            }
        }
    };
}

statements! { |table, owner|
    load: "
select id, state::text, {IS_DUE} as is_due
from {table}
where id = $1
and expires_at > now()",

    load_many: "
select id, state::text, {IS_DUE} as is_due
from {table}
where id = any($1)
and expires_at > now()",

    // Gives up quickly if a row is locked, which prevents deadlocks. The batcher tries again. The commit doesn't wait
    // for the disk. If a crash loses it, the session expires at most a minute early.
    touch: "
update {table}
set expires_at = {IF_USED_NOW}
where id = any($1) and expires_at > now() and {IS_DUE}
and (select set_config('synchronous_commit', 'off', true) || set_config('lock_timeout', '20ms', true)) is not null",

    // No `on conflict`, because two equal keys must not share a session.
    save: "insert into {table} {COLUMNS} values ({VALUES})",

    save_many: "
insert into {table} {COLUMNS}
select
    id, state::json, owner, now() + make_interval(secs => least(idle, max_age)), idle,
    now() + make_interval(secs => max_age), remembered
from unnest($1::bytea[], $2::text[], $3::{owner}[], $4::int[], $5::int[], $6::boolean[])
    as new (id, state, owner, idle, max_age, remembered)",

    update: "
update {table}
set state = $2::text::json, expires_at = greatest(expires_at, {IF_USED_NOW})
where id = $1 and expires_at > now()",

    update_ttl: "
update {table}
set expires_at = least(now() + make_interval(secs => $2::int), ends_at)
where id = $1 and expires_at > now() and expires_at < ends_at
and expires_at < now() + make_interval(secs => $2::int - least(60, $2::int / 2))",

    rotate: "
with old as (
    delete from {table}
    where id = $1 and expires_at > now()
    returning owner, created_at, expires_at, idle_seconds, ends_at, remembered
)
insert into {table} (id, state, owner, created_at, expires_at, idle_seconds, ends_at, remembered)
select
    $2, $3::text::json, owner, created_at, greatest(expires_at, {IF_USED_NOW}), idle_seconds, ends_at, remembered
from old
returning remembered, extract(epoch from ends_at - now())::bigint",

    // `count(*)` returns one row, even if there is no session to end.
    log_in: "
with old as (delete from {table} where id = $7 returning id)
insert into {table} {COLUMNS}
select {VALUES}
from (select count(*) from old) as ended",

    delete: "delete from {table} where id = $1",

    sessions_of: "
select id, created_at, expires_at, ends_at, idle_seconds, remembered, state::text
from {table}
where owner = $1 and expires_at > now()
order by created_at desc, id",

    // Deletes only live sessions. The sweep deletes expired ones, and deleting them here as well could deadlock.
    end_all_of: "delete from {table} where owner = $1 and expires_at > now() and id is distinct from $2",

    // PostgreSQL releases the lock and resets the timeout at the end of the transaction.
    sweep_lock: "
select pg_try_advisory_xact_lock(hashtextextended('actix-session-postgres sweep {table}', 0))
and set_config('statement_timeout', '60s', true) is not null",

    expired: "
select id from {table}
where expires_hour < date_trunc('hour', now() at time zone 'UTC')
order by expires_hour limit $1",

    delete_expired: "delete from {table} where id = any($1) and expires_at <= now()",

    // No index supports this search. Updating one for every new session would cost more than the search does.
    outlasting: "
select id from {table}
where remembered = $4 and expires_at > now() and {OUTLASTS}
limit $1",

    shorten: "
update {table}
set created_at = least(created_at, now()),
    idle_seconds = least(idle_seconds, $2::int),
    ends_at = least(ends_at, {SHORTENED_END}),
    expires_at = least(expires_at, to_timestamp(extract(epoch from now()) + $2::int), {SHORTENED_END})
where id = any($1) and expires_at > now() and {OUTLASTS}",
}

/// Returns the SQL with a comment that changes every ten seconds. A new text is a new statement with a new plan.
/// Otherwise, a statement that was prepared while the table was small would keep its plan until the next `analyze`.
/// PgBouncer's clients even share statements with the same text.
pub(crate) fn replanned(sql: &str) -> AssertSqlSafe<String> {
    let period = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 10);
    AssertSqlSafe([sql, " -- ", &period.to_string()].concat())
}
