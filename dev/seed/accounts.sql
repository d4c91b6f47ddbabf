-- An account for trying out the login. Its password is public, so only `cargo dev` creates it.
\set QUIET on
insert into accounts (id, email, password_hash)
values ('01900000-0000-7000-8000-000000000000', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$oU2tiMvz29tz+5BIoIkhxg$szvILMrlrOYuAxhnL0wlDOxZTtZqRI9jGQOkdxm46q0')
on conflict do nothing;
\echo '  account                  ada@example.org, password: three notches on a stick'
