//! Sessions: what one holds ([`TypedSession`]), where it is kept ([`PgSessionStore`]), how it ends ([`sweep`]).
//!
//! The only file that knows the names of a session's values: handlers see typed methods, never strings.

mod id;
mod rotation;
pub mod state;
mod statements;
pub mod store;
pub mod sweep;

use std::future::{Ready, ready};

use actix_session::{Session, SessionExt, SessionInsertError};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use uuid::Uuid;

pub use id::SessionId;
pub(crate) use rotation::GRACE;
pub use state::SessionState;
pub use store::PgSessionStore;

const USER_ID: &str = "user_id";

/// The visitor's session, as an extractor for handlers. Without a cookie it is empty, and stays off the database until
/// something is put into it.
pub struct TypedSession(Session);

impl TypedSession {
    /// The user whose session this is, or `None` for a stranger.
    pub fn user_id(&self) -> Option<Uuid> {
        self.0
            .get(USER_ID)
            .inspect_err(|error| tracing::warn!(%error, "a session's user id is unreadable"))
            .ok()
            .flatten()
    }

    /// Makes this the session of `user_id`, saved with the response: under a new key, as with [`TypedSession::rotate`],
    /// should it have been a stranger's. A user without a row in `users` gets one in the same statement, and this counts
    /// as their first visit.
    ///
    /// # Errors
    /// None for an id: the signature is actix-session's, for values that might not serialize.
    pub fn start(&self, user_id: Uuid) -> Result<(), SessionInsertError> {
        self.rotate()?;
        // `insert` and not `update`: in actix-session 0.11 `update` forgets to mark the session as changed.
        self.0.insert(USER_ID, user_id)
    }

    /// Gives the session a new key with the response, in one statement; its age and what it holds stay. Call it
    /// wherever a session comes to mean more than before: after a login, a change of role or of password. Whoever knew
    /// the old key has nothing then, but for 10 seconds, in which it still opens this session for the requests that the
    /// browser had already sent. See [OWASP on renewing the session id][owasp].
    ///
    /// A session that ends meanwhile stays ended; a stranger's starts, as with any value put into it. Of two rotations
    /// at once the first gives the key. A second rotation within the 10 seconds takes them from the oldest key.
    ///
    /// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    ///
    /// # Errors
    /// None that is known, as with [`TypedSession::start`].
    pub fn rotate(&self) -> Result<(), SessionInsertError> {
        rotation::wish(&self.0)
    }

    /// Whether nothing is in it: a stranger's, or one that has ended.
    pub fn is_empty(&self) -> bool {
        self.0.entries().is_empty()
    }

    /// Ends the session: with the response, its row is deleted and its cookie removed.
    pub fn end(&self) {
        self.0.purge();
    }
}

impl FromRequest for TypedSession {
    type Error = <Session as FromRequest>::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.get_session())))
    }
}

/// The user whose session held `state`.
fn user_of(state: &SessionState) -> Option<Uuid> {
    serde_json::from_str(state.get(USER_ID)?).ok()
}
