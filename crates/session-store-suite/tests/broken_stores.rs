//! Tests that the suite detects faults. Each test gives a memory store one fault, and the suite must report
//! the guarantee that the fault breaks.

use std::cell::{Cell, RefCell};
use std::{collections::HashMap, rc::Rc};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use anyhow::{Result, anyhow, ensure};
use session_store_suite::{MemorySessionStore, Report, Subject, run};
use time::Duration;

type State = HashMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    TrimsValues,
    KeepsOneSession,
    InventsSessions,
    UpdatesUnderNewKeys,
    DropsLargeStates,
    StoresKeys,
    DeletesNothing,
    DeletesOnce,
    SavesWhatIsMissing,
    NeverExpires,
    IgnoresTouches,
    ShortensOnTouch,
    UsesTheAppsClock,
    IsEmptyInOutages,
    HangsInOutages,
    NeverRecovers,
    ForgetsInCrashes,
}

/// A store with one fault, whose server is up or down.
#[derive(Clone)]
struct Store {
    memory: Rc<RefCell<MemorySessionStore>>,
    fault: Fault,
    is_up: Rc<Cell<bool>>,
    outages: Rc<Cell<u32>>,
    is_a_day_ahead: bool,
}

impl Store {
    fn new(fault: Fault) -> Self {
        let is_up = Rc::new(Cell::new(true));
        Self { memory: Rc::default(), fault, is_up, outages: Rc::default(), is_a_day_ahead: false }
    }

    fn memory(&self) -> MemorySessionStore {
        self.memory.borrow().clone()
    }

    async fn reach_server(&self) -> Result<()> {
        if !self.is_up.get() && self.fault == Fault::HangsInOutages {
            std::future::pending::<()>().await;
        }
        let is_lost = self.fault == Fault::NeverRecovers && self.outages.get() > 0;
        ensure!(self.is_up.get() && !is_lost, "the server is down");
        Ok(())
    }

    async fn check_size(&self, state: &State) -> Result<()> {
        self.reach_server().await?;
        let size: usize = state.values().map(String::len).sum();
        ensure!(size < 1_000_000 || self.fault == Fault::DropsLargeStates, "the state is too large");
        Ok(())
    }
}

impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        if !self.is_up.get() && self.fault == Fault::IsEmptyInOutages {
            return Ok(None);
        }
        self.reach_server().await.map_err(LoadError::Other)?;
        let loaded = self.memory().load(key).await?;
        Ok(if self.fault == Fault::InventsSessions { Some(loaded.unwrap_or_default()) } else { loaded })
    }

    async fn save(&self, mut state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        self.check_size(&state).await.map_err(SaveError::Other)?;
        let is_off = self.is_a_day_ahead && self.fault == Fault::UsesTheAppsClock;
        let ttl = &if is_off { *ttl - Duration::DAY } else { *ttl };
        match self.fault {
            Fault::TrimsValues => state.values_mut().for_each(|value| *value = value.trim().to_owned()),
            Fault::KeepsOneSession => drop(self.memory.take()),
            _ => {}
        }
        self.memory().save(state, ttl).await
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &Duration) -> Result<SessionKey, UpdateError> {
        self.check_size(&state).await.map_err(UpdateError::Other)?;
        let is_live = self.memory().load(&key).await.is_ok_and(|loaded| loaded.is_some());
        match self.fault {
            Fault::UpdatesUnderNewKeys if is_live => {}
            Fault::SavesWhatIsMissing if !is_live => {}
            _ => return self.memory().update(key, state, ttl).await,
        }
        self.memory().save(state, ttl).await.map_err(|error| UpdateError::Other(error.into()))
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<()> {
        self.reach_server().await?;
        let loaded = self.memory().load(key).await?;
        match (self.fault, loaded) {
            (Fault::IgnoresTouches, _) => {}
            (Fault::ShortensOnTouch, Some(state)) => {
                let key = key.as_ref().to_owned().try_into()?;
                self.memory().update(key, state, ttl).await?;
            }
            _ => self.memory().update_ttl(key, ttl).await?,
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<()> {
        self.reach_server().await?;
        match self.fault {
            Fault::DeletesNothing => Ok(()),
            Fault::DeletesOnce if self.memory().load(key).await?.is_none() => Err(anyhow!("no such session")),
            _ => self.memory().delete(key).await,
        }
    }
}

impl Subject for Store {
    type Store = Self;

    async fn store(&self) -> Self {
        self.clone()
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        if self.fault != Fault::NeverExpires {
            self.memory().age(key, by);
        }
    }

    async fn stored(&self) -> String {
        // With any other fault, the store looks as if it contained only hashes.
        if matches!(self.fault, Fault::StoresKeys | Fault::DeletesNothing) {
            self.memory().dump()
        } else {
            String::new()
        }
    }

    fn unclaimed(&self) -> &[&str] {
        &["max_age"]
    }

    fn inapplicable(&self) -> &[&str] {
        &[]
    }

    async fn stop_server(&self) {
        self.is_up.set(false);
        self.outages.set(self.outages.get() + 1);
    }

    async fn start_server(&self) {
        self.is_up.set(true);
        if self.fault == Fault::ForgetsInCrashes {
            self.memory.take();
        }
    }

    async fn with_clock_a_day_ahead(&self) -> Self {
        Self { is_a_day_ahead: true, ..self.clone() }
    }
}

async fn report(fault: Fault) -> Report {
    run(&Store::new(fault)).await
}

/// Returns the names of the guarantees that the store breaks.
fn broken(report: &Report) -> Vec<&str> {
    report.0.iter().filter(|finding| !finding.reason.is_empty()).map(|finding| finding.name).collect()
}

#[tokio::test(start_paused = true)]
async fn the_suite_reports_the_guarantee_that_each_fault_breaks() {
    for (fault, guarantee) in [
        (Fault::TrimsValues, "round_trip"),
        (Fault::KeepsOneSession, "no_overwriting"),
        (Fault::InventsSessions, "invalid_keys"),
        (Fault::UpdatesUnderNewKeys, "concurrent_updates"),
        (Fault::DropsLargeStates, "size_limit"),
        (Fault::StoresKeys, "hidden_keys"),
        (Fault::DeletesNothing, "complete_deletion"),
        (Fault::DeletesOnce, "complete_deletion"),
        (Fault::SavesWhatIsMissing, "update_after_delete"),
        (Fault::SavesWhatIsMissing, "logout_race"),
        (Fault::SavesWhatIsMissing, "final_expiry"),
        (Fault::NeverExpires, "idle_timeout"),
        (Fault::None, "max_age"),
        (Fault::IgnoresTouches, "touch"),
        (Fault::ShortensOnTouch, "touch_only_extends"),
        (Fault::UsesTheAppsClock, "server_clock"),
        (Fault::IsEmptyInOutages, "outage"),
        (Fault::HangsInOutages, "outage"),
        (Fault::NeverRecovers, "recovery"),
        (Fault::ForgetsInCrashes, "durability"),
    ] {
        let report = report(fault).await;

        assert!(broken(&report).contains(&guarantee), "{fault:?} doesn't break {guarantee:?}:\n{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_faults_provides_every_guarantee_that_it_claims() {
    let report = report(Fault::None).await;

    report.assert_claims();
    assert_eq!(broken(&report), ["max_age"], "{report}");
}

#[tokio::test(start_paused = true)]
#[should_panic = "the store breaks guarantees that it claims"]
async fn assert_claims_panics_if_a_claimed_guarantee_is_broken() {
    report(Fault::DeletesNothing).await.assert_claims();
}

/// A memory store that claims every guarantee except those in this list.
struct Modest(MemorySessionStore, Vec<&'static str>);

impl Subject for Modest {
    type Store = MemorySessionStore;

    async fn store(&self) -> MemorySessionStore {
        self.0.clone()
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        self.0.age(key, by);
    }

    async fn stored(&self) -> String {
        self.0.dump()
    }

    fn unclaimed(&self) -> &[&str] {
        &self.1
    }
}

#[tokio::test]
async fn a_guarantee_that_is_kept_but_not_claimed_is_reported() {
    let unclaimed = vec!["round_trip", "size_limit", "hidden_keys", "max_age"];
    let report = run(&Modest(MemorySessionStore::default(), unclaimed)).await;

    report.assert_claims();
    let text = report.to_string();
    for line in [
        "kept, not claimed  round_trip: A loaded state has exactly the bytes that were saved",
        "      not claimed  hidden_keys: Keys are not stored in the clear (the key is stored)",
        "   not applicable  outage: During an outage, calls fail",
        "             kept  touch: `update_ttl` extends a session",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
#[should_panic = "there is no guarantee \"hiden_keys\""]
async fn a_misspelled_guarantee_name_panics() {
    run(&Modest(MemorySessionStore::default(), vec!["hiden_keys"])).await;
}
