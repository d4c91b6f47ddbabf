-- The facts that must be exact live here, not in the session: one statement counts a visit, so no two tabs can lose one.
create table users (
    id uuid not null,
    visits bigint not null default 1,
    first_visit_at timestamptz not null default now(),
    last_visit_at timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_visits_positive check (visits > 0)
)
-- Each visit rewrites its row. Room on the page, and no index on what changes, keep that a heap-only (HOT) update.
with (fillfactor = 70);

comment on table users is 'One row for each visitor whose session may still be alive';
comment on column users.id is 'UUID, version 7; the session holds it as user_id';
comment on column users.visits is 'How often the visitor has seen the welcome page';

-- For the sweep: a user who came first longer ago than a session can live has no session left.
create index users_first_visit_at_idx on users (first_visit_at);
