//! Outages and crashes of the server.

use std::time::{Duration, Instant};

use actix_session::storage::{SessionKey, SessionStore};
use anyhow::{Context, Result, ensure};
use futures_util::join;
use tokio::time::{sleep, timeout};

use super::{State, TTL, copy, ensure_live, load, save, state};
use crate::Subject;

/// How long a call may take to fail during an outage, and how long the store may take to work again afterwards.
const PATIENCE: Duration = Duration::from_secs(3);

pub async fn an_outage_is_an_error_and_never_an_empty_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    let key = save(&store, &saved).await?;

    subject.stop_server().await;
    let outage = timeout(PATIENCE, call_everything(&store, &key, &saved)).await;
    subject.start_server().await;
    // The next promise needs a store that works. Whether it recovers is a separate promise.
    let _ = save_when_back(&store, &saved).await;

    outage.with_context(|| format!("during an outage, a call takes longer than {PATIENCE:?}"))?
}

/// Makes every call at the same time. Fails if one of them succeeds.
async fn call_everything(store: &impl SessionStore, key: &SessionKey, state: &State) -> Result<()> {
    let (loaded, saved, updated, extended, deleted) = join!(
        store.load(key),
        store.save(state.clone(), &TTL),
        store.update(copy(key), state.clone(), &TTL),
        store.update_ttl(key, &TTL),
        store.delete(key),
    );
    let is_empty = loaded.as_ref().is_ok_and(|loaded| loaded.as_ref() != Some(state));
    ensure!(!is_empty, "during an outage, the session is empty");
    ensure!(loaded.is_err(), "during an outage, a session is loaded");
    ensure!(saved.is_err(), "during an outage, a session is saved");
    ensure!(updated.is_err(), "during an outage, a session is updated");
    ensure!(extended.is_err(), "during an outage, a session is extended");
    ensure!(deleted.is_err(), "during an outage, a session is deleted");
    Ok(())
}

pub async fn the_store_recovers_by_itself(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let saved = state("n", "1");
    save(&store, &saved).await?;

    subject.stop_server().await;
    // A request that notices the outage, and whose browser gives up.
    let _ = timeout(PATIENCE, save(&store, &saved)).await;
    subject.start_server().await;

    let key = save_when_back(&store, &saved).await?;
    ensure_live(&store, &key, &saved, "after an outage").await
}

/// Saves a session, and tries again while the store still fails because of an outage that has just ended. A pooler may
/// answer the first calls with a cached error.
async fn save_when_back(store: &impl SessionStore, session: &State) -> Result<SessionKey> {
    let back = Instant::now();
    let key = timeout(PATIENCE, async {
        loop {
            match save(store, session).await {
                Err(_) if back.elapsed() < PATIENCE => sleep(Duration::from_millis(20)).await,
                saved => return saved,
            }
        }
    });
    key.await.with_context(|| format!("the store doesn't work {PATIENCE:?} after an outage"))?
}

pub async fn saved_sessions_survive_a_crash(subject: &impl Subject) -> Result<()> {
    let before = subject.store().await;
    let mut keys = Vec::new();
    for n in 0..20 {
        keys.push(save(&before, &state("n", &n.to_string())).await?);
    }

    subject.restart().await;

    let after = subject.store().await;
    let _ = save_when_back(&after, &state("n", "20")).await;
    let mut survivors = 0;
    for (n, key) in keys.iter().enumerate() {
        survivors += usize::from(load(&after, key).await? == Some(state("n", &n.to_string())));
    }
    ensure!(survivors == keys.len(), "{survivors} of {} sessions survived", keys.len());
    Ok(())
}
