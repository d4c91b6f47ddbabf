-- Divides `sessions` and `visitors` into 8 partitions each, by a hash of their IDs. Most apps don't need this. If yours
-- does, copy this file into `migrations/` under the next number.
--
-- This migration copies all rows, and pages return 503 until it is done. Afterward, grant privileges to other roles
-- again.

lock table sessions, visitors in access exclusive mode;

create table sessions_new (like sessions including all excluding indexes) partition by hash (id);
create table visitors_new (like visitors including all excluding indexes) partition by hash (id);

-- Partitioned tables can't have storage settings, so each partition gets the settings from the first migrations.
do $$
begin
    for n in 0..7 loop
        execute format(
            'create table sessions_%s partition of sessions_new for values with (modulus 8, remainder %1$s)
            with (fillfactor = 90)', n);
        execute format(
            'create table visitors_%s partition of visitors_new for values with (modulus 8, remainder %1$s)
            with (fillfactor = 70)', n);
    end loop;
end
$$;

-- PostgreSQL computes the column expires_hour.
insert into sessions_new (id, state, owner, created_at, expires_at, idle_seconds, ends_at, remembered)
select id, state, owner, created_at, expires_at, idle_seconds, ends_at, remembered
from sessions;
insert into visitors_new (id, visits, created_at, last_visit_at, keep_until)
select id, visits, created_at, last_visit_at, keep_until
from visitors;

drop table sessions, visitors;
alter table sessions_new rename to sessions;
alter table visitors_new rename to visitors;

-- PostgreSQL creates these on each partition. The primary key contains the partition key, so IDs are still unique.
alter table sessions add constraint sessions_pkey primary key (id);
create index sessions_expires_hour_idx on sessions (expires_hour);
create index sessions_owner_idx on sessions (owner) where owner is not null;
alter table visitors add constraint visitors_pkey primary key (id);
create index visitors_keep_until_idx on visitors (keep_until);

comment on table sessions is 'Sessions of the web application, in hash partitions';
comment on table visitors is
    'Visit counts of anonymous visitors, in hash partitions; rows are deleted when no session can refer to them';
