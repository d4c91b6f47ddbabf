-- Adds :n unused sessions for the app. This also works with builds that have no table `visitors`.
select exists (
    select from information_schema.columns where table_name = 'sessions' and column_name = 'ends_at'
) as has_ends \gset
\if :has_ends
-- These are the app's default limits. Its sweep would shorten longer sessions.
alter table sessions alter idle_seconds set default 1800, alter ends_at set default now() + interval '8 hours';
\endif
insert into sessions (id, state, expires_at)
select
    sha256(int4send(n)),
    json_build_object('visitor_id', lpad(to_hex(n), 32, '0')::uuid),
    now() + interval '8 hours'
from generate_series(1, :n) as n;
select to_regclass('visitors') is not null as has_visitors \gset
\if :has_visitors
select exists (
    select from information_schema.columns where table_name = 'visitors' and column_name = 'keep_until'
) as keeps_until \gset
\if :keeps_until
alter table visitors alter keep_until set default current_date + 1;
\endif
insert into visitors (id, visits)
select lpad(to_hex(n), 32, '0')::uuid, 2
from generate_series(1, :n) as n;
\endif
