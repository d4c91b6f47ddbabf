//! Visitors that use every feature of the app. They detect every lost visit, and every ended session that
//! becomes valid again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{net::SocketAddr, thread};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::client::{self, Answer};

/// Time limit for a response.
const LONGEST: Duration = Duration::from_millis(2_500);

/// How long after a failed request PostgreSQL may still carry it out, even if later requests have succeeded. A fault
/// takes up to 3 seconds, and then the statement up to 1.5 seconds. For this long, a failed visit could hide a lost one,
/// and a failed logout a lost session.
const LATE: Duration = Duration::from_secs(5);

/// What a visitor knows about a user.
#[derive(Debug, Default)]
pub struct Seen {
    pub visits: u64,
    /// The end times of failed visits that PostgreSQL may still count, oldest first.
    pub unknown: Vec<Instant>,
}

/// The state that all visitors share.
pub struct Load {
    replicas: Vec<SocketAddr>,
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    problem: Option<String>,
    fault: &'static str,
    /// Replicas that are or were dead or suspended, and when they came back.
    away: Vec<(SocketAddr, Option<Instant>)>,
    /// The end of the last fault, and the replicas that have served a visit since.
    end: Option<Instant>,
    served: Vec<SocketAddr>,
    visits: u64,
    failures: u64,
    replays: u64,
    slowest: Duration,
}

impl Load {
    pub fn new(replicas: Vec<SocketAddr>) -> Self {
        Self { replicas, stopping: AtomicBool::new(false), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    pub fn violate(&self, problem: &str) {
        let mut state = self.state();
        let text = format!("{problem} (the last fault: {})", state.fault);
        state.problem.get_or_insert(text);
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Records that a fault begins.
    pub fn begin(&self, fault: &'static str) {
        self.state().fault = fault;
    }

    /// Records that this replica can't respond until [`Load::returns`].
    pub fn leaves(&self, replica: SocketAddr) {
        self.state().away.push((replica, None));
    }

    pub fn returns(&self, replica: SocketAddr) {
        let mut state = self.state();
        state.away.iter_mut().filter(|(away, _)| *away == replica).for_each(|(_, until)| {
            until.get_or_insert(Instant::now());
        });
    }

    /// Returns whether this replica was away at any time since `begin`.
    fn was_away(&self, replica: SocketAddr, begin: Instant) -> bool {
        // A process that was suspended needs a moment to catch up.
        let recent = |until: Instant| until + Duration::from_millis(500) > begin;
        self.state().away.iter().any(|(away, until)| *away == replica && until.is_none_or(recent))
    }

    /// Waits until each replica has served a visit that began after this call. Returns how long that took, or
    /// `None` after `limit`.
    pub fn recovery(&self, limit: Duration) -> Option<Duration> {
        let end = Instant::now();
        {
            let mut state = self.state();
            (state.end, state.served) = (Some(end), Vec::new());
        }
        while self.state().served.len() < self.replicas.len() {
            if end.elapsed() > limit {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(end.elapsed())
    }

    /// Returns the replicas that haven't served a visit since the fault.
    pub fn unrecovered(&self) -> String {
        let state = self.state();
        format!("{:?}", self.replicas.iter().filter(|one| !state.served.contains(one)).collect::<Vec<_>>())
    }

    fn served(&self, replica: SocketAddr, begin: Instant) {
        let mut state = self.state();
        state.visits += 1;
        if state.end.is_some_and(|end| begin > end) && !state.served.contains(&replica) {
            state.served.push(replica);
        }
    }

    pub fn summary(&self) -> String {
        let state = self.state();
        format!(
            "{} visits acknowledged, {} requests failed, {} ended sessions replayed, the slowest response took {:.1?}",
            state.visits, state.failures, state.replays, state.slowest
        )
    }
}

pub struct Visitor<'a> {
    load: &'a Load,
    random: StdRng,
    cookie: Option<String>,
    user: Option<String>,
    seen: Seen,
    /// When the last request that may still end the session or change its key failed.
    may_end: Option<Instant>,
    ended: Vec<String>,
    former: Vec<(String, Seen)>,
}

impl<'a> Visitor<'a> {
    pub fn new(load: &'a Load, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (cookie, user, seen) = (None, None, Seen::default());
        Self { load, random, cookie, user, seen, may_end: None, ended: Vec::new(), former: Vec::new() }
    }

    /// Sends requests until the load stops. Returns all users that this visitor has been.
    pub fn run(mut self) -> Vec<(String, Seen)> {
        while !self.load.stopping.load(Ordering::Relaxed) {
            match self.random.random_range(0..100) {
                0..75 => self.visit(),
                75..82 => self.change_key("/rotate"),
                82..86 => self.change_key("/log-in"),
                86..90 => self.log_out(),
                _ => self.replay(),
            }
        }
        self.leave();
        self.former
    }

    /// Sends a request to one of the replicas. Returns `None` if the outcome isn't known.
    fn ask(&mut self, path: &str, cookie: Option<String>) -> Option<(Answer, SocketAddr, Instant)> {
        let replica = self.load.replicas[self.random.random_range(0..self.load.replicas.len())];
        let begin = Instant::now();
        let mut browser = client::Visitor { cookie, ..client::Visitor::new(replica) };
        let outcome = browser.try_get(path);
        let (took, was_away) = (begin.elapsed(), self.load.was_away(replica, begin));
        if !was_away {
            let mut state = self.load.state();
            state.slowest = state.slowest.max(took);
        }
        let problem = match &outcome {
            _ if was_away => None,
            Err(error) => Some(format!("{path}: no response ({error})")),
            Ok(_) if took > LONGEST => Some(format!("{path}: a response after {took:?}")),
            Ok(answer) if ![200, 303, 503].contains(&answer.status) => Some(format!("{path}: {answer:#?}")),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            self.load.violate(&problem);
        }
        let answer = outcome.ok().filter(|answer| answer.status != 503);
        if answer.is_none() {
            self.load.state().failures += 1;
            thread::sleep(Duration::from_millis(50));
        }
        Some((answer?, replica, begin))
    }

    fn visit(&mut self) {
        let Some((answer, replica, begin)) = self.ask("/", self.cookie.clone()) else {
            // Without a cookie, the visit belongs to a session that nobody will use.
            if self.cookie.is_some() {
                self.seen.unknown.push(Instant::now());
            }
            return;
        };
        let (user, visits) = (answer.visitor().to_owned(), answer.visits());
        if self.user.as_ref().is_some_and(|known| *known != user) {
            if self.may_end.is_none() {
                self.load.violate(&format!("the session of {:?} with {:?} is lost", self.user, self.seen));
            }
            self.leave();
        }
        let mut unknown = std::mem::take(&mut self.seen.unknown);
        let next = if self.user.is_some() { self.seen.visits + 1 } else { 1 };
        let expected = next..=next + unknown.len() as u64;
        if !expected.contains(&visits) {
            self.load.violate(&format!("{user} has {visits} visits, expected {expected:?}"));
        }
        unknown.drain(..unknown.len().min(visits.saturating_sub(next) as usize));
        unknown.retain(|end| end.elapsed() < LATE);
        self.load.served(replica, begin);
        self.cookie = cookie_of(&answer).or(self.cookie.take());
        self.may_end.take_if(|end| end.elapsed() >= LATE);
        (self.user, self.seen) = (Some(user), Seen { visits, unknown });
    }

    /// Rotates the session, or logs in. Afterward, the old key must be invalid.
    fn change_key(&mut self, path: &str) {
        let Some(old) = self.cookie.clone() else { return };
        match self.ask(path, Some(old.clone())) {
            None => self.may_end = Some(Instant::now()),
            Some((answer, ..)) => {
                if let Some(new) = cookie_of(&answer).filter(|new| *new != old) {
                    self.ended.push(old);
                    // A login drops the anonymous session's contents, so the next visit is a new user's first.
                    if path.ends_with("/log-in") {
                        self.leave();
                    }
                    // A late request with the old key can't end the new session.
                    (self.cookie, self.may_end) = (Some(new), None);
                } else {
                    self.may_end = Some(Instant::now());
                }
            }
        }
    }

    fn log_out(&mut self) {
        let Some(cookie) = self.cookie.clone() else { return };
        match self.ask("/logout", Some(cookie.clone())) {
            None => self.may_end = Some(Instant::now()),
            Some(_) => {
                self.ended.push(cookie);
                self.leave();
            }
        }
    }

    /// Sends the cookie of an ended session to a page that starts no sessions.
    fn replay(&mut self) {
        let Some(last) = self.ended.len().checked_sub(1) else { return };
        let cookie = self.ended[self.random.random_range(0..=last)].clone();
        if let Some((answer, ..)) = self.ask("/visits", Some(cookie)) {
            self.load.state().replays += 1;
            if answer.body.contains("id=\"visitor\"") {
                self.load.violate(&format!("an ended session is valid: {answer:#?}"));
            }
        }
    }

    /// Forgets the cookie, to become a new user.
    fn leave(&mut self) {
        if let Some(user) = self.user.take() {
            self.former.push((user, std::mem::take(&mut self.seen)));
        }
        (self.cookie, self.seen, self.may_end) = (None, Seen::default(), None);
    }
}

fn cookie_of(answer: &Answer) -> Option<String> {
    let set = answer.header("set-cookie")?.split(';').next()?;
    set.strip_prefix("id=").filter(|value| !value.is_empty()).map(|_| set.to_owned())
}
