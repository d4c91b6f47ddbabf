//! Guarantees about the server's outages, crashes and clock.

use std::{rc::Rc, time::Duration};

use actix_session::storage::SessionStore;
use anyhow::{Context, Result, ensure};
use futures_util::future::{join5, try_join_all};
use tokio::time::{sleep, timeout};

use crate::Subject;
use crate::session::{Session, TTL, load, state};

/// Time limit for a call to fail during an outage, and for the store to recover afterward.
const PATIENCE: Duration = Duration::from_secs(3);

pub async fn server_clock(subject: &impl Subject) -> Result<()> {
    let store = Rc::new(subject.with_clock_a_day_ahead().await);
    let mut session = Session::save(&store, state("n", "1")).await?;

    session.key = session.update(&store, &session.state).await?;
    store.update_ttl(&session.key, &TTL).await?;

    session.ensure_live("when the server's clock is a day ahead").await
}

pub async fn outage(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    let Session { store, key, state } = &session;

    subject.stop_server().await;
    let calls = join5(
        store.load(key),
        store.save(state.clone(), &TTL),
        session.update(store, state),
        store.update_ttl(key, &TTL),
        store.delete(key),
    );
    let results = timeout(PATIENCE, calls).await.context("in an outage, a call takes longer than 3 seconds");
    subject.start_server().await;
    // The next guarantee needs a working store. Recovery is a separate guarantee.
    let _ = save_again(store).await;

    let (loaded, saved, updated, extended, deleted) = results?;
    let are_ok = [loaded.is_ok(), saved.is_ok(), updated.is_ok(), extended.is_ok(), deleted.is_ok()];
    ensure!(are_ok == [false; 5], "load, save, update, update_ttl, delete are Ok in an outage: {are_ok:?}");
    Ok(())
}

pub async fn recovery(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;

    subject.stop_server().await;
    // This request notices the outage, but its browser gives up.
    let _ = timeout(PATIENCE, session.store.save(session.state.clone(), &TTL)).await;
    subject.start_server().await;

    save_again(&session.store).await
}

/// Saves a session after an outage. Retries, because a pooler may answer the first calls with a cached error.
async fn save_again<S: SessionStore>(store: &Rc<S>) -> Result<()> {
    let saved = timeout(PATIENCE, async {
        loop {
            match Session::save(store, state("n", "2")).await {
                Ok(session) => return session,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    saved.await.context("the store still fails 3 s after an outage")?.ensure_live("after an outage").await
}

pub async fn durability(subject: &impl Subject) -> Result<()> {
    let first = Session::new(subject).await?;
    let sessions = (0..20).map(|n| Session::save(&first.store, state("n", &n.to_string())));
    let sessions = try_join_all(sessions).await?;

    subject.stop_server().await;
    subject.start_server().await;

    let store = Rc::new(subject.store().await);
    let _ = save_again(&store).await;
    let mut survivors = 0;
    for session in &sessions {
        survivors += usize::from(load(&*store, &session.key).await?.as_ref() == Some(&session.state));
    }
    ensure!(survivors == sessions.len(), "{survivors} of {} sessions survived", sessions.len());
    Ok(())
}
