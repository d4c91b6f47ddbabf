//! What is stored, and under which keys.

use actix_session::storage::{SessionKey, SessionStore, generate_session_key};
use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use super::{State, TTL, copy, ensure_live, load, save, state, update};
use crate::Subject;

pub async fn a_state_is_loaded_byte_for_byte(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let long = format!("\"{}\"", "x".repeat(3_000));
    let states = [
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
    ];
    for saved in &states {
        let key = save(&store, saved).await?;
        ensure!(load(&store, &key).await?.as_ref() == Some(saved), "{saved:?} changed when it was saved");

        let key = save(&store, &state("n", "1")).await?;
        let key = update(&store, &key, saved).await?;
        ensure!(load(&store, &key).await?.as_ref() == Some(saved), "{saved:?} changed when it was updated");
    }
    Ok(())
}

pub async fn a_save_never_overwrites_another_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let states: Vec<_> = (0..50).map(|n| state("n", &n.to_string())).collect();

    let keys = try_join_all(states.iter().map(|state| save(&store, state))).await?;
    update(&store, &keys[0], &state("changed", "true")).await?;

    for (key, state) in keys.iter().zip(&states).skip(1) {
        ensure_live(&store, key, state, "after others were saved").await?;
    }
    Ok(())
}

pub async fn unknown_and_malformed_keys_have_no_session(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let known = save(&store, &state("n", "1")).await?;
    let mut keys = vec![generate_session_key(), generate_session_key()];
    for malformed in [
        "",
        "'; --",
        "*",
        &"a".repeat(63),
        &"a".repeat(64),
        &"a".repeat(65),
        &"é".repeat(32),
        &"\0".repeat(64),
    ] {
        keys.push(SessionKey::try_from(malformed.to_owned())?);
    }
    // All but the last character of a key.
    let mut shorter = known.as_ref().to_owned();
    shorter.pop();
    keys.push(shorter.try_into()?);

    for key in keys {
        ensure!(load(&store, &key).await?.is_none(), "the key {:?} has a session", key.as_ref());
    }
    Ok(())
}

pub async fn a_state_that_is_too_large_is_an_error(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let small = state("n", "1");
    let large = state("large", &format!("\"{}\"", "x".repeat(2 * 1024 * 1024)));
    let key = save(&store, &small).await?;

    ensure!(store.save(large.clone(), &TTL).await.is_err(), "a state of 2 MiB was saved");
    ensure!(store.update(copy(&key), large, &TTL).await.is_err(), "a session grew to 2 MiB");

    ensure_live(&store, &key, &small, "after an update that was too large").await
}

pub async fn keys_are_not_stored_in_the_clear(subject: &impl Subject) -> Result<()> {
    let store = subject.store().await;
    let key = save(&store, &state("n", "1")).await?;
    let key = update(&store, &key, &state("n", "2")).await?;

    let stored = subject.stored().await;

    let hex: String = key.as_ref().bytes().map(|byte| format!("{byte:02x}")).collect();
    ensure!(!stored.contains(key.as_ref()), "the key is stored");
    ensure!(!stored.contains(&hex), "the key is stored in hexadecimal");
    Ok(())
}
