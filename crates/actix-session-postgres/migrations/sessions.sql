-- One row for each session. The crate actix-session-postgres writes them.
create table if not exists sessions (
    -- The SHA-256 of the session key. The key itself is only in the browser's cookie, so a leaked dump of this table
    -- gives nobody a session.
    id bytea not null,
    -- json, not jsonb: jsonb rejects \u0000 and rewrites numbers, but a store must return exactly what it was given.
    state json not null,
    -- The account that logged in with this session, if any. The type can be any that sqlx binds.
    owner uuid,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    -- The hour in which the session expires, for the sweep. It is a separate column because PostgreSQL updates a row in
    -- place (HOT) only if no indexed column changes, and expires_at changes up to once a minute.
    expires_hour timestamp not null generated always as (date_trunc('hour', expires_at at time zone 'UTC')) stored,
    -- Both are set when the session is created, so requests don't depend on the app's settings. The sweep lowers them
    -- if the settings are lowered.
    idle_seconds int not null,
    ends_at timestamptz not null,
    remembered boolean not null default false,
    constraint sessions_pkey primary key (id),
    constraint sessions_id_is_sha256 check (octet_length(id) = 32),
    -- The store enforces the same limit (MAX_STATE_BYTES). This one applies to every other writer, too.
    constraint sessions_state_size check (octet_length(state::text) <= 65536)
)
-- Leaves free space on each page for updated versions of its rows.
with (fillfactor = 90);

create index if not exists sessions_expires_hour_idx on sessions (expires_hour);

-- Anonymous sessions have no owner, so they aren't in this index.
create index if not exists sessions_owner_idx on sessions (owner) where owner is not null;

comment on table sessions is 'Sessions of the web application';
comment on column sessions.id is 'SHA-256 of the session key';
comment on column sessions.state is 'What the session holds: a JSON object';
comment on column sessions.owner is 'Account that logged in; null for an anonymous session';
comment on column sessions.created_at is 'Start of the session, or its login';
comment on column sessions.expires_at is 'The session is invalid from this time on; moves at most once a minute';
comment on column sessions.expires_hour is 'Hour of expires_at, in UTC; the sweep deletes by it';
comment on column sessions.idle_seconds is 'Time without requests after which the session expires';
comment on column sessions.ends_at is 'The session expires at this time at the latest, regardless of activity';
comment on column sessions.remembered is 'The login asked to be remembered after the browser is closed';
