//! Sessions that nobody uses: so that those in use are found among many.

use anyhow::Result;

use crate::database::Database;

/// Adds so many sessions, and leaves the tables as a database at rest has them.
pub fn fill(database: &Database, name: &str, sql: &str, sessions: usize) -> Result<()> {
    database.run(name, &sql.replace(":n", &sessions.to_string()))?;
    database.run(name, "vacuum analyze")
}

/// For the schema of the app.
pub const APP: &str = "\
insert into users (id)
select lpad(to_hex(n), 32, '0')::uuid
from generate_series(1, :n) as n;
insert into sessions (id, state, expires_at)
select
    sha256(int4send(n)),
    json_build_object('user_id', lpad(to_hex(n), 32, '0')::uuid),
    now() + interval '8 hours'
from generate_series(1, :n) as n";

/// For the table of connect-pg-simple.
pub const EXPRESS: &str = "\
insert into session (sid, sess, expire)
select
    left(encode(sha256(int4send(n)), 'base64'), 32),
    json_build_object(
        'cookie', json_build_object(
            'originalMaxAge', 28800000, 'expires', now() + interval '8 hours', 'httpOnly', true, 'path', '/'
        ),
        'visits', 1
    ),
    now() + interval '8 hours'
from generate_series(1, :n) as n";

/// For the table of tower-sessions-sqlx-store.
pub const TOWER_SESSIONS: &str = "\
insert into tower_sessions.session (id, data, expiry_date)
select
    left(translate(encode(sha256(int4send(n)), 'base64'), '+/', '-_'), 22),
    (select data from tower_sessions.session limit 1),
    now() + interval '8 hours'
from generate_series(1, :n) as n";

/// For Redis: a script, because there is no SQL. Its argument is the number of sessions.
pub const REDIS: &str = "\
for n = 1, tonumber(ARGV[1]) do
    redis.call('SET', redis.sha1hex(n) .. string.rep('0', 24), '{\"visits\":\"1\"}', 'EX', 28800)
end";
