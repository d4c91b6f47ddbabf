//! Logging in, rotating and ending, on actix-session's own [`Session`].

use std::time::Duration;

use actix_session::Session;

use crate::{
    change::{Change, Login},
    owner::Owner,
    store::seconds,
};

/// What a session in PostgreSQL can do in addition to actix-session's own methods.
///
/// The store makes these changes when the response is ready, with whatever else changed in the session. Until then, the
/// session's `entries()` contain the request for the change, under a random name. It is never stored.
pub trait PgSession {
    /// Gives the session a new key. By the time the response is sent, the old key is invalid, and requests that still
    /// use it continue without a session. If another request has ended the session, this
    /// doesn't bring it back.
    ///
    /// Call it after every privilege change, such as a new role, as [OWASP recommends][owasp]. For a login, use
    /// [`PgSession::log_in`] instead.
    ///
    /// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    fn rotate(&self);

    /// Ends the session, if there is one, and starts a new one that belongs to `owner`.
    ///
    /// Drops the contents of the anonymous session, because somebody else may have planted them (session fixation). To
    /// keep a value, read it before this call and insert it again afterwards. Don't call actix-session's `clear` after
    /// it, because that cancels the login, too.
    ///
    /// # Panics
    /// Panics if `owner` can't be written as JSON.
    fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_>;

    /// Ends the session. The row is deleted before the response is sent, and the response removes the cookie.
    ///
    /// The same as actix-session's `purge`. The session then ignores changes for the rest of the request.
    fn end(&self);
}

/// A requested login, for settings that differ from the defaults.
pub struct LogIn<'a> {
    session: &'a Session,
    login: Login,
}

impl LogIn<'_> {
    /// Keeps this session when the browser is closed ("keep me logged in"), and gives it a different lifetime. It
    /// expires after `idle` without requests, and after `max_age` at the latest.
    ///
    /// With [`guard`](crate::guard()), the cookie gets a `Max-Age` that lasts as long as the session can.
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
