-- Rotation gives a live session a new key. Requests that are already on their way still carry the old one, so the row
-- remembers it: for some seconds after rotated_at it opens the same session (see PgSessionStore).
alter table sessions
    add column previous_id bytea,
    add column rotated_at timestamptz,
    add constraint sessions_previous_id_sha256 check (octet_length(previous_id) = 32),
    add constraint sessions_previous_id_rotated check ((previous_id is null) = (rotated_at is null));

comment on column sessions.previous_id is 'SHA-256 of the key before the last rotation; null for a session that was never rotated';
comment on column sessions.rotated_at is 'Time of the last rotation';

-- Most sessions are never rotated: they cost this index nothing.
create unique index sessions_previous_id_idx on sessions (previous_id) where previous_id is not null;
