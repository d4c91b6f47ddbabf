-- pgbench: counts a visit, as the app does for a returning visitor after it has read the session.
\set n random(1, 4096)
update visitors
set visits = visits + 1,
    last_visit_at = now()
where id = lpad(to_hex(:n::int), 32, '0')::uuid
returning visits;
