//! Guarantees about stored states and their keys.

use actix_session::storage::{SessionStore, generate_session_key};
use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use crate::Subject;
use crate::session::{Session, State, TTL, load, state};

/// Values can be any text, even if it isn't JSON.
pub async fn round_trip(subject: &impl Subject) -> Result<()> {
    let mut session = Session::new(subject).await?;
    let long = format!("\"{}\"", "x".repeat(3_000));
    for state in [
        State::new(),
        state("", "\"\""),
        state("nul \0 key", "\"nul \\u0000 value\""),
        state("emoji 🦀", "\"👩‍👩‍👧‍👦\""),
        state("escape", r#""\u00e9\/""#),
        state("spaces", "{ \"b\" : 1 ,\n \"a\" : 1, \"a\" : 2 }"),
        state("outer spaces", " 1 "),
        state("text", "not JSON"),
        state("empty", ""),
        state("nul", "\0"),
        state("long", &long),
        ["1e308", "-0.0", "0.10000000000000000000000000000000000001"].map(|n| (n.into(), n.into())).into(),
    ] {
        let saved = Session::save(&session.store, state.clone()).await?;
        saved.ensure_live(&format!("after {state:?} was saved")).await?;

        session.key = session.update(&session.store, &state).await?;
        session.state = state;
        session.ensure_live(&format!("after it was updated to {:?}", session.state)).await?;
    }
    Ok(())
}

pub async fn no_overwriting(subject: &impl Subject) -> Result<()> {
    let first = Session::new(subject).await?;
    let sessions = (0..50).map(|n| Session::save(&first.store, state("n", &n.to_string())));
    let sessions = try_join_all(sessions).await?;
    first.update(&first.store, &state("changed", "true")).await?;

    for session in sessions {
        session.ensure_live("after others were saved").await?;
    }
    Ok(())
}

pub async fn invalid_keys(subject: &impl Subject) -> Result<()> {
    let Session { store, key, .. } = Session::new(subject).await?;
    let (random, mut shorter) = (generate_session_key(), key.as_ref().to_owned());
    shorter.pop();
    let repeated = [("a", 63), ("a", 64), ("a", 65), ("é", 32), ("\0", 64)].map(|(text, n)| text.repeat(n));
    let others = ["", "'; --", "*", &shorter, random.as_ref()].map(str::to_owned);

    for key in repeated.into_iter().chain(others) {
        let key = key.try_into()?;
        ensure!(load(&*store, &key).await?.is_none(), "the key {:?} has a session", key.as_ref());
    }
    Ok(())
}

pub async fn concurrent_updates(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    let stores = [subject.store().await, subject.store().await];
    let states: Vec<State> = (0..200).map(|n| ["a", "b"].map(|s| (s.into(), n.to_string())).into()).collect();

    let updates = states.iter().zip(stores.iter().cycle());
    let keys = try_join_all(updates.map(|(state, store)| session.update(store, state))).await?;

    ensure!(keys.iter().all(|returned| *returned == session.key), "one session now has several keys");
    let loaded = load(&*session.store, &session.key).await?;
    ensure!(loaded.is_some_and(|loaded| states.contains(&loaded)), "the session has none of the states");
    Ok(())
}

pub async fn size_limit(subject: &impl Subject) -> Result<()> {
    let large = state("large", &format!("\"{}\"", "x".repeat(2 * 1024 * 1024)));
    let small = Session::new(subject).await?;

    ensure!(small.store.save(large.clone(), &TTL).await.is_err(), "a state of 2 MiB was saved");
    ensure!(small.update(&small.store, &large).await.is_err(), "a session grew to 2 MiB");

    small.ensure_live("after an update that was too large").await
}

pub async fn hidden_keys(subject: &impl Subject) -> Result<()> {
    let session = Session::new(subject).await?;
    let key = session.update(&session.store, &state("n", "2")).await?;

    let stored = subject.stored().await;

    let hex: String = key.as_ref().bytes().map(|byte| format!("{byte:02x}")).collect();
    ensure!(!stored.contains(key.as_ref()), "the key is stored");
    ensure!(!stored.contains(&hex), "the key is stored in hexadecimal");
    Ok(())
}
