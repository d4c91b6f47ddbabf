//! A session in the store under test.

use std::{collections::HashMap, rc::Rc};

use actix_session::storage::{LoadError, SessionKey, SessionStore};
use anyhow::{Result, ensure};
use time::Duration;

use crate::Subject;

/// The contents of a session as actix-session passes them: names, and the JSON text of each value.
pub type State = HashMap<String, String>;

pub const TTL: Duration = Duration::minutes(30);

pub fn state(name: &str, json: &str) -> State {
    HashMap::from([(name.to_owned(), json.to_owned())])
}

pub struct Session<S> {
    pub store: Rc<S>,
    pub key: SessionKey,
    pub state: State,
}

impl<S: SessionStore> Session<S> {
    pub async fn new(subject: &impl Subject<Store = S>) -> Result<Self> {
        Self::save(&Rc::new(subject.store().await), state("n", "1")).await
    }

    pub async fn save(store: &Rc<S>, state: State) -> Result<Self> {
        let key = store.save(state.clone(), &TTL).await?;
        Ok(Self { store: Rc::clone(store), key, state })
    }

    /// Updates the session through this instance of the store, and returns the key that the browser gets.
    pub async fn update(&self, store: &S, state: &State) -> Result<SessionKey> {
        let key = self.key.as_ref().to_owned().try_into()?;
        Ok(store.update(key, state.clone(), &TTL).await?)
    }

    pub async fn ensure_live(&self, when: &str) -> Result<()> {
        let loaded = load(&*self.store, &self.key).await?;
        ensure!(loaded.as_ref() == Some(&self.state), "the session isn't the same {when}");
        Ok(())
    }

    pub async fn ensure_ended(&self, key: &SessionKey, when: &str) -> Result<()> {
        ensure!(load(&*self.store, key).await?.is_none(), "the session is still valid {when}");
        Ok(())
    }
}

pub async fn load(store: &impl SessionStore, key: &SessionKey) -> Result<Option<State>> {
    match store.load(key).await {
        // actix-session's middleware treats this error as an empty session.
        Err(LoadError::Deserialization(_)) => Ok(None),
        loaded => Ok(loaded?),
    }
}
