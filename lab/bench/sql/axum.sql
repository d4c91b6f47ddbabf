-- Adds :n unused sessions for tower-sessions-sqlx-store.
insert into tower_sessions.session (id, data, expiry_date)
select
    left(translate(encode(sha256(int4send(n)), 'base64'), '+/', '-_'), 22),
    (select data from tower_sessions.session limit 1),
    now() + interval '8 hours'
from generate_series(1, :n) as n;
