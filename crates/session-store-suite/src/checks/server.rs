//! Guarantees about the server's outages, crashes and clock.

use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_session::storage::SessionStore;
use anyhow::{Context, Result, ensure};
use futures_util::{future::try_join_all, join};
use tokio::time::{sleep, timeout};

use crate::Subject;
use crate::session::{Session, TTL, load, state};

/// Time limit for a call to fail during an outage, and for the store to recover afterward.
const PATIENCE: Duration = Duration::from_secs(3);

pub async fn server_clock(subject: &impl Subject) -> Result<()> {
    let mut session =
        Session::save(&Rc::new(subject.with_clock_a_day_ahead().await), state("n", "1")).await?;

    session.key = session.update(&session.store, &session.state).await?;
    session.touch().await?;

    session.ensure_live("when the server's clock is a day ahead").await
}

pub async fn outage(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;

    subject.stop_server().await;
    let outage = timeout(PATIENCE, call_everything(&session)).await;
    subject.start_server().await;
    // The next guarantee needs a working store. Recovery is a separate guarantee.
    let _ = save_again(&*session.store).await;

    outage.with_context(|| format!("during an outage, a call takes longer than {PATIENCE:?}"))?
}

/// Makes all calls at the same time, and fails if any of them succeeds.
async fn call_everything<S: SessionStore>(session: &Session<S>) -> Result<()> {
    let Session { store, key, state } = session;
    let (loaded, saved, updated, extended, deleted) = join!(
        store.load(key),
        store.save(state.clone(), &TTL),
        session.update(store, state),
        session.touch(),
        store.delete(key),
    );
    let are_ok = [loaded.is_ok(), saved.is_ok(), updated.is_ok(), extended.is_ok(), deleted.is_ok()];
    ensure!(
        are_ok == [false; 5],
        "during an outage, load, save, update, update_ttl, delete return Ok: {are_ok:?}"
    );
    Ok(())
}

/// The same instance of the store must work again after an outage.
pub async fn recovery(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;

    subject.stop_server().await;
    // This request notices the outage, but its browser gives up.
    let _ = timeout(PATIENCE, session.store.save(session.state.clone(), &TTL)).await;
    subject.start_server().await;

    save_again(&*session.store).await
}

/// Saves a session, and retries while the store still fails after an outage. A pooler may answer the first
/// calls with a cached error.
async fn save_again<S: SessionStore>(store: &S) -> Result<()> {
    let back = Instant::now();
    let key = timeout(PATIENCE, async {
        loop {
            match store.save(state("n", "2"), &TTL).await {
                Err(_) if back.elapsed() < PATIENCE => sleep(Duration::from_millis(20)).await,
                saved => return saved,
            }
        }
    });
    let key = key.await.with_context(|| format!("the store doesn't work {PATIENCE:?} after an outage"))??;
    ensure!(load(store, &key).await? == Some(state("n", "2")), "the session isn't the same after an outage");
    Ok(())
}

pub async fn durability(subject: &impl Subject) -> Result<()> {
    let first = Session::new(subject).await?;
    let sessions = (0..20).map(|n| Session::save(&first.store, state("n", &n.to_string())));
    let sessions = try_join_all(sessions).await?;

    subject.stop_server().await;
    subject.start_server().await;

    let store = subject.store().await;
    let _ = save_again(&store).await;
    let mut survivors = 0;
    for session in &sessions {
        survivors += usize::from(load(&store, &session.key).await?.as_ref() == Some(&session.state));
    }
    ensure!(survivors == sessions.len(), "{survivors} of {} sessions survived", sessions.len());
    Ok(())
}
