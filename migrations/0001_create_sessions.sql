-- One row for each session that a browser may still come back to.
create table sessions (
    -- The key itself is only in the visitor's cookie: whoever reads this table, or a dump of it, can open no session.
    id bytea not null,
    -- json, not jsonb: jsonb refuses U+0000 and rewrites numbers, and a store has to give back what it was given.
    state json not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint sessions_pkey primary key (id),
    constraint sessions_id_sha256 check (octet_length(id) = 32),
    -- The store refuses such a state first; this holds for every other writer too.
    constraint sessions_state_size check (octet_length(state::text) <= 65536)
);

comment on table sessions is 'Sessions of the web application, written by PgSessionStore';
comment on column sessions.id is 'SHA-256 of the session key, never the key itself';
comment on column sessions.state is 'What the session holds, as a JSON object: state->>''user_id'' is the visitor';
comment on column sessions.created_at is 'Start of the session; its absolute lifetime counts from here';
comment on column sessions.expires_at is 'End of the session unless it is used before; moves at most once a minute';

-- For the sweep, which deletes what ended first.
create index sessions_expires_at_idx on sessions (expires_at);
