//! Methods that log in, rotate the key and end the session, for actix-session's own [`Session`].

use std::time::Duration;

use actix_session::Session;

use crate::{
    change::{Change, Login},
    owner::Owner,
    store::seconds,
};

/// Methods of a session in PostgreSQL, in addition to actix-session's own.
///
/// The store makes these changes when the response is ready, together with all other changes to the session.
/// Until then, `entries()` also contains the requested change, under a random name. It is never stored.
pub trait PgSession {
    /// Gives the session a new key. The old key is invalid before the response is sent, so later requests
    /// that use it have no session. If another request has ended the session, this doesn't bring it back.
    ///
    /// Call it after every privilege change, such as a new role, as [OWASP recommends][owasp]. For a login, use
    /// [`PgSession::log_in`] instead.
    ///
    /// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    fn rotate(&self);

    /// Ends the session, if there is one, and starts a new one that belongs to `owner`.
    ///
    /// Discards the contents of the anonymous session, because an attacker may have planted them (session
    /// fixation). To keep a value, read it before this call and insert it again afterwards. Don't call
    /// actix-session's `clear` afterwards, because that would also cancel the login.
    ///
    /// # Panics
    /// Panics if `owner` can't be serialized as JSON.
    fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_>;

    /// Ends the session. The row is deleted before the response is sent, which also removes the cookie.
    ///
    /// This is the same as actix-session's `purge`. The session ignores further changes in the same request.
    fn end(&self);
}

/// A requested login, whose settings you can still change.
pub struct LogIn<'a> {
    session: &'a Session,
    login: Login,
}

impl LogIn<'_> {
    /// Keeps this session when the browser is closed ("keep me logged in"), and gives it a different lifetime. It
    /// expires after `idle` without requests, and after `max_age` at the latest.
    ///
    /// With [`guard`](crate::guard()), the `Max-Age` of the cookie is `max_age`.
    pub fn remember(mut self, idle: Duration, max_age: Duration) {
        self.login.remember = Some((seconds(idle), seconds(max_age)));
        Change::LogIn(self.login).request(self.session);
    }
}

impl PgSession for Session {
    fn rotate(&self) {
        Change::Rotate.request(self);
    }

    fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_> {
        let login = Login::new(&owner);
        self.clear();
        Change::LogIn(login.clone()).request(self);
        LogIn { session: self, login }
    }

    fn end(&self) {
        self.purge();
    }
}
