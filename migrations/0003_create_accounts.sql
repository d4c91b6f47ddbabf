-- The accounts of members. No sweep touches this table.
create table accounts (
    -- UUID version 7. A session's row holds it as owner, and its state as part of the login.
    id uuid not null,
    -- Trimmed and in lowercase, so that the constraint finds an address that is written differently.
    email text not null,
    password_hash text not null,
    -- A session is only valid with the number that the account had at its login. A new password raises it, so a login
    -- that was checked against the old password is invalid, no matter when its session is saved.
    epoch int not null default 0,
    -- Wrong passwords since the last right one. It outlives restarts, unlike the limits in the app's memory.
    failures int not null default 0,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    constraint accounts_pkey primary key (id),
    constraint accounts_email_key unique (email)
);

comment on table accounts is 'The accounts of members';
comment on column accounts.email is 'Email address in lowercase; nobody has verified that it belongs to this person';
comment on column accounts.password_hash is 'Argon2id with its parameters and salt, as a PHC string';
comment on column accounts.epoch is 'Sessions with another number are logged out';
comment on column accounts.failures is 'Wrong passwords since the last right one';
comment on column accounts.disabled_at is 'Since when an operator has blocked the account; null if it is not blocked';
