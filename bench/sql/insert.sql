-- pgbench: adds a session, as the app does for a new visitor.
insert into sessions (id, state, expires_at)
values (
    sha256(uuid_send(gen_random_uuid())),
    json_build_object('user_id', gen_random_uuid()),
    now() + interval '30 minutes'
);
