//! When a session expires.

use actix_session::storage::SessionStore;
use anyhow::Result;
use time::Duration;

use super::{TTL, ensure_ended, ensure_live, save, state, update};
use crate::Subject;

const MINUTE: Duration = Duration::minutes(1);

pub async fn a_session_expires_if_it_is_not_used(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");

    let key = save(&store, &saved).await?;
    // Without a `load` in between, which may count as use.
    subject.age(&key, TTL - MINUTE).await;
    ensure_live(&store, &key, &saved, "a minute before it expires").await?;
    let key = save(&store, &saved).await?;
    subject.age(&key, TTL + Duration::seconds(1)).await;
    ensure_ended(&store, &key, "after its time to live").await
}

pub async fn a_session_expires_at_its_maximum_age(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    let key = save(&store, &saved).await?;
    let (step, mut age) = (Duration::minutes(20), Duration::ZERO);

    while age + step < subject.max_age() {
        subject.age(&key, step).await;
        age += step;
        ensure_live(&store, &key, &saved, "although it is used and younger than its maximum age").await?;
        update(&store, &key, &saved).await?;
        store.update_ttl(&key, &TTL).await?;
    }
    subject.age(&key, step + Duration::seconds(1)).await;

    ensure_ended(&store, &key, "at its maximum age").await
}

pub async fn update_ttl_extends_a_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    let key = save(&store, &saved).await?;

    for _ in 0..3 {
        subject.age(&key, TTL - MINUTE).await;
        store.update_ttl(&key, &TTL).await?;
    }

    ensure_live(&store, &key, &saved, "after its time to live was updated").await
}

pub async fn update_ttl_never_shortens_a_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    let key = save(&store, &saved).await?;

    store.update_ttl(&key, &MINUTE).await?;
    subject.age(&key, MINUTE * 2).await;

    ensure_live(&store, &key, &saved, "two minutes after its time to live was set to one").await
}

pub async fn the_servers_clock_may_be_a_day_off(subject: &impl Subject) -> Result<()> {
    let store = subject.with_clock_a_day_ahead().await;
    let saved = state("n", "1");

    let key = save(&store, &saved).await?;
    let key = update(&store, &key, &saved).await?;
    store.update_ttl(&key, &TTL).await?;

    ensure_live(&store, &key, &saved, "when the server's clock is a day ahead").await
}
