-- Adds :n unused sessions for connect-pg-simple.
insert into session (sid, sess, expire)
select
    left(encode(sha256(int4send(n)), 'base64'), 32),
    json_build_object(
        'cookie', json_build_object(
            'originalMaxAge', 28800000, 'expires', now() + interval '8 hours', 'httpOnly', true, 'path', '/'
        ),
        'visits', 2
    ),
    now() + interval '8 hours'
from generate_series(1, :n) as n;
