-- Visit counts. A count in the session would lose visits: a session is read and written as a whole, so one of two
-- concurrent requests would overwrite the other's count. Here, one statement adds 1.
--
-- The session's own row records the first visit. The second visit creates a row here. Crawlers never return, so they
-- don't get one.
--
-- A visitor is not an account. The sweep deletes each row once no session can refer to it anymore.
create table visitors (
    -- UUID version 7. The session's state holds it as visitor_id.
    id uuid not null,
    visits bigint not null,
    created_at timestamptz not null default now(),
    last_visit_at timestamptz not null default now(),
    -- Set from the session's maximum age, and never lowered. So a wrong setting deletes nothing. It is a date, because
    -- PostgreSQL updates a row in place (HOT) only if no indexed column changes, and this one changes once a day.
    keep_until date not null,
    constraint visitors_pkey primary key (id),
    constraint visitors_visits_positive check (visits > 0)
)
-- Each visit updates a row. Free space on each page lets PostgreSQL do so in place.
with (fillfactor = 70);

-- The sweep uses this index.
create index visitors_keep_until_idx on visitors (keep_until);

comment on table visitors is 'Visit counts of anonymous visitors; rows are deleted when no session can refer to them';
comment on column visitors.id is 'UUID version 7; the session holds it as visitor_id';
comment on column visitors.visits is 'Number of visits to the welcome page';
comment on column visitors.created_at is 'Time of the second visit';
comment on column visitors.keep_until is 'The last day (UTC) on which a session may refer to this row; the sweep deletes by it';
