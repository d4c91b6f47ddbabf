//! Concurrent calls on one session.

use actix_session::storage::SessionStore;
use anyhow::{Result, ensure};
use futures_util::future::{join, try_join_all};
use tokio::sync::Barrier;

use super::{State, load, save, state, update};
use crate::Subject;

pub async fn one_of_200_concurrent_updates_is_stored(subject: &impl Subject) -> Result<()> {
    let stores = [subject.store().await, subject.store().await];
    let key = save(&stores[0], &state("n", "none")).await?;
    let states: Vec<State> =
        (0..200).map(|n| [("a", n), ("b", n)].map(|(name, n)| (name.into(), n.to_string())).into()).collect();

    let updates = states.iter().enumerate().map(|(n, state)| update(&stores[n % 2], &key, state));
    let keys = try_join_all(updates).await?;

    ensure!(keys.iter().all(|returned| *returned == key), "one session now has several keys");
    let loaded = load(&stores[0], &key).await?;
    ensure!(loaded.is_some_and(|loaded| states.contains(&loaded)), "the session has none of the states");
    Ok(())
}

pub async fn a_slow_request_never_undoes_a_logout(subject: &impl Subject) -> Result<()> {
    let revived = revived_sessions(subject, 100).await?;
    ensure!(revived == 0, "100 logouts left {revived} sessions");
    Ok(())
}

/// In each round, a request loads a session. Then a barrier releases the request's update and a logout at the same
/// time. Returns the number of rounds after which the session is still valid.
///
/// # Errors
/// Returns an error if a call of the store fails.
pub async fn revived_sessions(subject: &impl Subject, rounds: usize) -> Result<usize> {
    let (request, logout) = (subject.store().await, subject.store().await);
    let mut revived = 0;
    for round in 0..rounds {
        let key = save(&request, &state("n", "1")).await?;
        let mut loaded = load(&request, &key).await?.unwrap_or_default();
        loaded.insert("late".into(), "true".into());
        let barrier = Barrier::new(2);
        let update = async {
            barrier.wait().await;
            update(&request, &key, &loaded).await
        };
        let delete = async {
            barrier.wait().await;
            logout.delete(&key).await
        };
        // Each is sent first in half of the rounds.
        let (returned, deleted) = if round % 2 == 0 {
            join(update, delete).await
        } else {
            let (deleted, returned) = join(delete, update).await;
            (returned, deleted)
        };
        deleted?;
        let is_valid = load(&request, &key).await?.is_some() || load(&request, &returned?).await?.is_some();
        revived += usize::from(is_valid);
    }
    Ok(revived)
}
