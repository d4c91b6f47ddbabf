//! What a session contains. No other file knows the names of its values.

use std::future::{Ready, ready};

use actix_session::{Session, SessionExt};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::{Deserialize, Serialize, de::value::MapDeserializer};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::key_change::KeyChange;

/// The contents of a session. To store something else, add a field.
///
/// Each field is stored in the `state` column, such as `{"user_id":"0199…"}`. Fields that are `None` are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionData {
    /// The anonymous visitor whose visits are counted. Only the first visit to `/` sets it.
    pub user_id: Option<Uuid>,
    /// The account that is logged in. Only [`TypedSession::log_in`] sets it.
    pub account_id: Option<Uuid>,
}

/// The session of a request. Without a valid cookie, it is empty. Empty sessions are not stored.
pub struct TypedSession(Session);

impl TypedSession {
    /// Returns the contents of the session. Unreadable contents are logged and count as empty.
    pub fn data(&self) -> SessionData {
        let entries = self.0.entries();
        let fields = entries
            .iter()
            .filter_map(|(name, json)| Some((name.as_str(), serde_json::from_str::<&RawValue>(json).ok()?)));
        SessionData::deserialize(MapDeserializer::new(fields)).unwrap_or_else(|error: serde_json::Error| {
            // The error itself would quote the value, which doesn't belong in the log.
            tracing::warn!(kind = ?error.classify(), "the contents of a session are unreadable");
            SessionData::default()
        })
    }

    /// Changes the contents of the session. They are saved as a whole when the response is ready, so if two requests
    /// change them at the same time, one change is lost. Keep counters and other shared facts in a table of their own.
    pub fn update(&self, change: impl FnOnce(&mut SessionData)) {
        let mut data = self.data();
        change(&mut data);
        let fields = serde_json::to_value(&data).expect("session data can be written as JSON");
        for (name, value) in fields.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(self.0.remove(name)),
                // `insert`, not `update`: in actix-session 0.11, `update` doesn't mark the session as changed.
                value => self.0.insert(name, value).expect("JSON can be written as JSON"),
            }
        }
    }

    /// Returns the visitor of this session, if it has one.
    pub fn user_id(&self) -> Option<Uuid> {
        self.data().user_id
    }

    /// Starts the session of a new visitor.
    pub fn start(&self, user_id: Uuid) {
        self.update(|data| data.user_id = Some(user_id));
    }

    /// Gives the session a new key. By the time the response is sent, the old key is invalid, and requests that still
    /// use it continue without a session.
    ///
    /// Call it after every privilege change, such as a new password or role, as [OWASP recommends][owasp]. For a login,
    /// use [`TypedSession::log_in`] instead.
    ///
    /// [owasp]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    pub fn rotate(&self) {
        if !self.is_empty() {
            KeyChange::Rotate.request(&self.0);
        }
    }

    /// Logs `account_id` in: one statement gives the session a new key and this owner, and restarts its lifetime.
    ///
    /// Drops the contents of the anonymous session, because somebody else may have planted them (session fixation). To
    /// keep a value, read it before this call and set it again afterwards with [`TypedSession::update`].
    pub fn log_in(&self, account_id: Uuid) {
        self.0.clear();
        KeyChange::LogIn { owner: account_id }.request(&self.0);
        self.update(|data| data.account_id = Some(account_id));
    }

    /// Returns whether the session has no contents, because it is new or has ended.
    pub fn is_empty(&self) -> bool {
        self.0.entries().is_empty()
    }

    /// Ends the session. The row is deleted before the response is sent, and the response removes the cookie.
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
