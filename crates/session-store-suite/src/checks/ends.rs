//! Guarantees about when a session ends, and whether the end is final.

use actix_session::storage::{SessionStore, generate_session_key};
use anyhow::{Result, ensure};
use futures_util::{FutureExt, future::join};
use time::Duration;

use crate::Subject;
use crate::session::{Session, TTL, load, state};

pub async fn complete_deletion(subject: &impl Subject) -> Result<()> {
    let other = Session::new(subject).await?;
    let secret = state("note", "\"a secret of the session\"");
    let Session { store, key, .. } = &Session::save(&other.store, secret).await?;

    store.delete(key).await?;

    other.ensure_ended(key, "after it was deleted").await?;
    let stored = subject.stored().await;
    ensure!(!stored.contains(key.as_ref()), "the key of a deleted session is still stored");
    ensure!(!stored.contains("a secret of the session"), "the state of a deleted session is still stored");
    store.delete(key).await?;
    store.delete(&generate_session_key()).await?;
    other.ensure_live("after another one was deleted").await
}

pub async fn update_after_delete(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    session.ensure_live("after it was saved").await?;

    subject.store().await.delete(&session.key).await?;
    // The browser gets the key that an update returns, so neither key may be valid.
    let returned = session.update(&session.store, &state("n", "2")).await?;
    session.store.update_ttl(&session.key, &TTL).await?;

    session.ensure_ended(&session.key, "after it was deleted and then updated").await?;
    session.ensure_ended(&returned, "under a new key, after it was deleted and then updated").await
}

pub async fn logout_race(subject: &impl Subject) -> Result<()> {
    let undone = undone_logouts(subject, 100).await?;
    ensure!(undone == 0, "{undone} of 100 logouts were undone");
    Ok(())
}

/// Returns the number of rounds in which a session survives its logout because of a concurrent update.
///
/// # Errors
/// Returns an error if a call to the store fails.
pub async fn undone_logouts(subject: &impl Subject, rounds: usize) -> Result<usize> {
    let logout = subject.store().await;
    let mut undone = 0;
    for round in 0..rounds {
        let session = Session::new(subject).await?;
        session.ensure_live("after it was saved").await?;
        let late = state("late", "true");
        let (update, delete) = (session.update(&session.store, &late), logout.delete(&session.key));
        // In half of the rounds, the update is sent first.
        let (returned, deleted) = match round % 2 {
            0 => join(update, delete).await,
            _ => join(delete, update).map(|(deleted, returned)| (returned, deleted)).await,
        };
        deleted?;
        let loaded = [load(&logout, &session.key).await?, load(&logout, &returned?).await?];
        undone += usize::from(loaded.iter().any(Option::is_some));
    }
    Ok(undone)
}

pub async fn idle_timeout(subject: &impl Subject) -> Result<()> {
    let (young, old) = (Session::new(subject).await?, Session::new(subject).await?);

    subject.age(&young.key, TTL - Duration::MINUTE).await;
    // Uses a separate session, because loading the first one may count as use.
    subject.age(&old.key, TTL + Duration::SECOND).await;

    young.ensure_live("a minute before it expires").await?;
    old.ensure_ended(&old.key, "after its time to live").await
}

pub async fn max_age(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    let (step, mut age) = (Duration::minutes(20), Duration::ZERO);

    while age + step < subject.max_age() {
        subject.age(&session.key, step).await;
        age += step;
        session.ensure_live("although it is used and younger than its maximum age").await?;
        session.update(&session.store, &session.state).await?;
        session.store.update_ttl(&session.key, &TTL).await?;
    }
    subject.age(&session.key, step + Duration::SECOND).await;

    session.ensure_ended(&session.key, "at its maximum age").await
}

pub async fn final_expiry(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    subject.age(&session.key, TTL + Duration::SECOND).await;

    session.store.update_ttl(&session.key, &TTL).await?;
    session.ensure_ended(&session.key, "after it expired and its time to live was updated").await?;
    let returned = session.update(&session.store, &state("n", "2")).await?;
    session.ensure_ended(&session.key, "after it expired and was updated").await?;
    session.ensure_ended(&returned, "under a new key, after it expired and was updated").await
}

pub async fn touch(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;

    for _ in 0..3 {
        subject.age(&session.key, TTL - Duration::MINUTE).await;
        session.store.update_ttl(&session.key, &TTL).await?;
    }

    session.ensure_live("after its time to live was updated").await
}

pub async fn touch_only_extends(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;

    session.store.update_ttl(&session.key, &Duration::MINUTE).await?;
    subject.age(&session.key, Duration::MINUTE * 2).await;

    session.ensure_live("two minutes after its time to live was set to one").await
}
