insert into visitors (id, visits, last_visit_at, keep_until)
select id, 1 + added, now(), (now() at time zone 'UTC' + $3::interval)::date
from unnest($1::uuid[], $2::bigint[]) as visit (id, added)
where (select set_config('lock_timeout', '100ms', true)) is not null
on conflict (id) do update
set visits = visitors.visits + excluded.visits - 1,
    last_visit_at = excluded.last_visit_at,
    keep_until = greatest(visitors.keep_until, excluded.keep_until)
returning id, visits
