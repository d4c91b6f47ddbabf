-- Visit counts. A count in the session would lose visits: a session is read and written as a whole, so of two requests
-- at once, one would overwrite the other. Here, one statement adds 1.
--
-- The session's own row is the first visit. A visitor gets a row here with the second, so that crawlers, which never
-- return, don't cost one.
--
-- A visitor is not an account. The sweep deletes each row after the longest time that a session can last.
create table visitors (
    -- UUID version 7. The session's state holds it as user_id.
    id uuid not null,
    visits bigint not null,
    created_at timestamptz not null default now(),
    last_visit_at timestamptz not null default now(),
    constraint visitors_pkey primary key (id),
    constraint visitors_visits_positive check (visits > 0)
)
-- Each visit updates a row. Free space on each page, and no index on what changes, keep that in place (HOT).
with (fillfactor = 70);

-- For the sweep.
create index visitors_created_at_idx on visitors (created_at);

comment on table visitors is 'Visit counts of anonymous visitors; rows are deleted when no session can refer to them';
comment on column visitors.id is 'UUID version 7; the session holds it as user_id';
comment on column visitors.visits is 'Number of visits to the welcome page';
comment on column visitors.created_at is 'Time of the second visit';
