//! The `accounts` table. [`super::passwords`] creates and checks the hashes.

use sqlx::PgPool;
use sqlx_batcher::acquire;
use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::{Error, error::on_constraint};

/// An account. It doesn't implement `Debug`, so that its hash can't end up in a log.
pub struct Account {
    /// The account's ID.
    pub id: Uuid,
    /// The email address, as [`email`] returns it.
    pub email: String,
    /// The Argon2id hash as a PHC string.
    pub password_hash: String,
    /// Sessions that started with a different epoch are logged out.
    pub epoch: i32,
    /// Wrong passwords since the last correct one.
    pub failures: i32,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When an operator blocked it, if it is blocked.
    pub disabled_at: Option<OffsetDateTime>,
    /// The database's time when the account was read.
    pub now: OffsetDateTime,
}

/// Returns an email address as the table stores it, or `None` if it doesn't have exactly one `@`, or has invisible or
/// ambiguous characters. For example, U+212A (the kelvin sign) looks like `K`, but is `k` in lowercase.
pub fn email(input: &str) -> Option<String> {
    let input = input.trim();
    let is_plain = |c: char| c.is_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c);
    let is_clean = input.chars().all(is_plain) && input.nfkc().eq(input.chars());
    let (name, host) = input.split_once('@')?;
    let has_parts = !name.is_empty() && !host.is_empty() && !host.contains('@');
    (is_clean && has_parts && input.len() <= 254).then(|| input.to_lowercase())
}

/// Creates an account, or returns [`Error::Conflict`] if the address already has one.
pub async fn create(pool: &PgPool, email: &str, password_hash: &str) -> Result<Account, Error> {
    let create = sqlx::query_as!(
        Account,
        r#"
        insert into accounts (id, email, password_hash)
        values ($1, $2, $3)
        returning id, email, password_hash, epoch, failures, created_at, disabled_at, now() as "now!"
        "#,
        Uuid::now_v7(),
        email,
        password_hash,
    );
    // A query before the insert isn't enough, because two concurrent registrations could both pass it.
    let created = create.fetch_one(&mut *acquire(pool).await?).await;
    created.map_err(on_constraint("accounts_email_key", Error::Conflict("this address is taken")))
}

/// Finds the account with this ID, or with this address in the form that [`email()`] returns.
pub async fn find(pool: &PgPool, id: Option<Uuid>, email: Option<&str>) -> Result<Option<Account>, Error> {
    let find = sqlx::query_as!(
        Account,
        r#"
        select id, email, password_hash, epoch, failures, created_at, disabled_at, now() as "now!"
        from accounts
        where id = $1 or email = $2
        "#,
        id,
        email,
    );
    Ok(find.fetch_optional(&mut *acquire(pool).await?).await?)
}

/// Counts a wrong password, if the account exists. Doesn't wait for the disk: the delay would reveal the account.
pub(super) async fn count_failure(pool: &PgPool, email: &str) -> sqlx::Result<()> {
    let count = sqlx::query!(
        "
        update accounts
        set failures = failures + 1
        where email = $1
        and (select set_config('synchronous_commit', 'off', true)) is not null
        ",
        email,
    );
    count.execute(&mut *acquire(pool).await?).await.map(drop)
}

/// Resets the failures, and replaces the hash if there is a new one, unless the password has changed in the meantime.
pub(super) async fn succeed(pool: &PgPool, account: &Account, rehashed: Option<&str>) -> sqlx::Result<()> {
    let succeed = sqlx::query!(
        "
        update accounts
        set failures = 0, password_hash = coalesce($3, password_hash)
        where id = $1 and password_hash = $2
        ",
        account.id,
        account.password_hash,
        rehashed,
    );
    succeed.execute(&mut *acquire(pool).await?).await.map(drop)
}

/// Logs out all sessions, and replaces the hash if there is a new one. Returns [`Error::Conflict`] if the account is
/// gone or its epoch has changed, so that a stolen session can't survive a password change.
pub async fn raise_epoch(pool: &PgPool, account: &mut Account, hash: Option<&str>) -> Result<(), Error> {
    let raise = sqlx::query_scalar!(
        "
        update accounts
        set epoch = epoch + 1,
            password_hash = coalesce($3, password_hash),
            failures = case when $3::text is null then failures else 0 end
        where id = $1 and epoch = $2
        returning epoch
        ",
        account.id,
        account.epoch,
        hash,
    );
    let epoch = raise.fetch_optional(&mut *acquire(pool).await?).await?;
    account.epoch = epoch.ok_or(Error::Conflict("another change came first"))?;
    Ok(())
}

/// Blocks or unblocks an account. Blocking it also raises the epoch, so that no session is valid after it is unblocked.
pub(super) async fn set_disabled(pool: &PgPool, id: Uuid, is_disabled: bool) -> sqlx::Result<()> {
    let set = sqlx::query!(
        "
        update accounts
        set disabled_at = case when $2 then coalesce(disabled_at, now()) end,
            epoch = epoch + case when $2 then 1 else 0 end
        where id = $1
        ",
        id,
        is_disabled,
    );
    set.execute(&mut *acquire(pool).await?).await.map(drop)
}

pub(super) async fn delete(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    let delete = sqlx::query!("delete from accounts where id = $1", id);
    delete.execute(&mut *acquire(pool).await?).await.map(drop)
}
