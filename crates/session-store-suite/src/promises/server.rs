//! Outages and crashes of the server.

use std::time::{Duration, Instant};

use actix_session::storage::{SessionKey, SessionStore};
use anyhow::{Result, bail, ensure};

use super::{State, TTL, copy, ensure_live, load, save, state};
use crate::Subject;

/// How long a store may take to notice that its server is back.
const RECOVERY: Duration = Duration::from_secs(20);

pub async fn an_outage_is_an_error_and_never_an_empty_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    let key = save(&store, &saved).await?;

    subject.stop_server().await;
    let outage = call_everything(&store, &key, &saved).await;
    subject.start_server().await;

    recover(&store, &saved).await?;
    outage
}

/// Fails if one of the calls succeeds.
async fn call_everything(store: &impl SessionStore, key: &SessionKey, state: &State) -> Result<()> {
    match store.load(key).await {
        Err(_) => {}
        Ok(Some(loaded)) if loaded == *state => bail!("a session was loaded without the server"),
        Ok(_) => bail!("during the outage, the session is empty"),
    }
    ensure!(store.save(state.clone(), &TTL).await.is_err(), "a session was saved without the server");
    let updated = store.update(copy(key), state.clone(), &TTL).await;
    ensure!(updated.is_err(), "a session was updated without the server");
    ensure!(store.update_ttl(key, &TTL).await.is_err(), "a session was extended without the server");
    ensure!(store.delete(key).await.is_err(), "a session was deleted without the server");
    Ok(())
}

pub async fn the_store_recovers_by_itself(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    save(&store, &saved).await?;

    subject.stop_server().await;
    let during = save(&store, &saved).await;
    subject.start_server().await;

    ensure!(during.is_err(), "the server didn't stop");
    recover(&store, &saved).await
}

/// Waits until the store works again.
async fn recover(store: &impl SessionStore, saved: &State) -> Result<()> {
    let start = Instant::now();
    let key = loop {
        match save(store, saved).await {
            Ok(key) => break key,
            Err(error) if start.elapsed() > RECOVERY => {
                return Err(error.context(format!("the store doesn't work {RECOVERY:?} after the outage")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    ensure_live(store, &key, saved, "after the outage").await
}

pub async fn saved_sessions_survive_a_crash(subject: &impl Subject) -> Result<()> {
    let before = subject.store().await;
    let mut keys = Vec::new();
    for n in 0..20 {
        keys.push(save(&before, &state("n", &n.to_string())).await?);
    }

    subject.restart().await;

    let after = subject.store().await;
    let mut survivors = 0;
    for (n, key) in keys.iter().enumerate() {
        survivors += usize::from(load(&after, key).await? == Some(state("n", &n.to_string())));
    }
    ensure!(survivors == keys.len(), "{survivors} of {} sessions survived", keys.len());
    Ok(())
}
