//! An ended session never comes back.

use actix_session::storage::{SessionStore, generate_session_key};
use anyhow::{Result, ensure};
use time::Duration;

use super::{TTL, ensure_ended, ensure_live, load, save, state, update};
use crate::Subject;

pub async fn a_deletion_is_complete_and_idempotent(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let (secret, kept) = (state("note", "\"a secret of the deleted session\""), state("n", "2"));
    let (key, other) = (save(&store, &secret).await?, save(&store, &kept).await?);

    store.delete(&key).await?;

    ensure_ended(&store, &key, "after it was deleted").await?;
    let stored = subject.stored().await;
    ensure!(!stored.contains(key.as_ref()), "the key of a deleted session is still stored");
    ensure!(!stored.contains("a secret of the deleted"), "the state of a deleted session is still stored");
    store.delete(&key).await?;
    store.delete(&generate_session_key()).await?;
    ensure_live(&store, &other, &kept, "after another one was deleted").await
}

pub async fn an_update_after_a_deletion_revives_nothing(subject: &impl Subject) -> Result<()> {
    let (request, logout) = (subject.store().await, subject.store().await);
    let saved = state("n", "1");
    let key = save(&request, &saved).await?;
    let loaded = load(&request, &key).await?;
    ensure!(loaded.as_ref() == Some(&saved), "the session can't be loaded");

    logout.delete(&key).await?;
    // The browser gets the key that an update returns, so neither key may be valid.
    let returned = update(&request, &key, &state("n", "2")).await?;
    request.update_ttl(&key, &TTL).await?;

    ensure_ended(&request, &key, "after it was deleted and then updated").await?;
    ensure_ended(&request, &returned, "under a new key, after it was deleted and then updated").await
}

pub async fn an_expired_session_stays_expired(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let key = save(&store, &state("n", "1")).await?;
    subject.age(&key, TTL + Duration::seconds(1)).await;

    store.update_ttl(&key, &TTL).await?;
    ensure_ended(&store, &key, "after it expired and its time to live was updated").await?;
    let returned = update(&store, &key, &state("n", "2")).await?;
    ensure_ended(&store, &key, "after it expired and was updated").await?;
    ensure_ended(&store, &returned, "under a new key, after it expired and was updated").await
}
