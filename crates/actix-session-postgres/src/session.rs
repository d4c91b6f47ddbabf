//! Extends actix-session's own [`Session`] with methods to log in, rotate the key and end the session.
//!
//! actix-session passes only a key and a state to its store. So the state also contains the requested [`Change`].

use std::{sync::LazyLock, time::Duration};

use actix_session::{Session, storage::generate_session_key};
use serde::{Deserialize, Serialize};

use crate::{owner::Owner, state::State, statements::Lifetime};

/// The name of the requested change in the state. It is random, so no value of the session has the same name.
pub(crate) static RESERVED: LazyLock<String> = LazyLock::new(|| generate_session_key().as_ref().to_owned());

/// A change that replaces a session's key.
#[derive(Serialize, Deserialize)]
pub(crate) enum Change {
    /// A new key. The session keeps its age.
    Rotate,
    /// A new session. The owner is JSON. A remembered login has its own lifetime.
    LogIn { owner: String, remember: Option<Lifetime> },
}

impl Change {
    /// Asks the store to make this change when it saves the session.
    fn request(&self, session: &Session) {
        session.insert(RESERVED.as_str(), self).expect("this enum can be serialized as JSON");
    }

    /// Separates a requested change from the state.
    pub fn take(mut state: State) -> (Option<Self>, State) {
        let change = state.remove(RESERVED.as_str());
        (change.and_then(|json| serde_json::from_str(&json).ok()), state)
    }
}

/// Methods of a session in PostgreSQL, in addition to actix-session's own.
///
/// The store makes the requested change when the response is ready, together with all other changes to the session.
/// Until then, `entries()` also contains the request, under a random name.
pub trait PgSession {
    /// Gives the session a new key. The old key becomes invalid before the response is sent. If another request has
    /// ended the session, this doesn't bring it back.
    ///
    /// Call it after every privilege change, such as a new role, as [OWASP recommends][owasp].
    ///
    /// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    fn rotate(&self);

    /// Ends the session, if there is one, and starts a new one that belongs to `owner`.
    ///
    /// Discards the contents of the previous session, because an attacker may have planted them. To keep a value, read
    /// it before this call and insert it again afterward. Don't call `clear` afterward, because it cancels the login.
    ///
    /// # Panics
    /// Panics if `owner` can't be serialized as JSON.
    fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_>;

    /// Ends the session. Its row is deleted before the response is sent, and the response removes the cookie. This is
    /// the same as actix-session's `purge`. The session ignores further changes in the same request.
    fn end(&self);
}

/// A requested login, whose settings you can still change.
pub struct LogIn<'a> {
    session: &'a Session,
    owner: String,
}

impl LogIn<'_> {
    /// Keeps this session when the browser is closed ("keep me logged in"). It expires after `idle` without requests,
    /// and after `max_age` at the latest, which is also the cookie's `Max-Age` with [`guard`](crate::guard()).
    pub fn remember(self, idle: Duration, max_age: Duration) {
        let remember = Some(Lifetime { idle, max_age });
        Change::LogIn { owner: self.owner, remember }.request(self.session);
    }
}

impl PgSession for Session {
    fn rotate(&self) {
        // A requested login already includes a new key.
        if !self.contains_key(&RESERVED) {
            Change::Rotate.request(self);
        }
    }

    fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_> {
        let owner = serde_json::to_string(&owner).expect("an owner can be serialized as JSON");
        self.clear();
        Change::LogIn { owner: owner.clone(), remember: None }.request(self);
        LogIn { session: self, owner }
    }

    fn end(&self) {
        self.purge();
    }
}
