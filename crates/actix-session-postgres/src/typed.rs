//! The contents of a session as a struct.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::{Ready, ready},
    marker::PhantomData,
    rc::Rc,
};

use actix_session::{Session, SessionExt};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use serde::{Serialize, de::DeserializeOwned, de::value::MapDeserializer};
use serde_json::value::RawValue;

use crate::{
    PgSession, TARGET,
    owner::Owner,
    session::{LogIn, is_reserved},
};

/// An extractor for the request's session, whose contents are the struct `T`.
///
/// Each field of `T` is a value in the session, under the field's name. Fields that are `None` are left out.
/// Values for which `T` has no field remain in the session.
pub struct Typed<T> {
    session: Session,
    is_logged: IsLogged,
    contents: PhantomData<fn() -> T>,
}

/// Whether a request has already logged an unreadable value.
#[derive(Clone, Default)]
struct IsLogged(Rc<Cell<bool>>);

impl<T: Default + Serialize + DeserializeOwned> Typed<T> {
    /// Returns the contents of the session. For a missing value, you get the default from `T::default()`.
    ///
    /// The same applies to a value that doesn't match its field's type, for example after an app update. The value
    /// remains in the session. Each request logs the names of such values once.
    ///
    /// # Panics
    /// Panics if `T` isn't serialized as a JSON object.
    pub fn data(&self) -> T {
        let entries = self.session.entries();
        let json = entries.iter().filter(|(name, _)| !is_reserved(name));
        let json = json.filter_map(|(name, json)| Some((name.as_str(), serde_json::from_str(json).ok()?)));
        let json: Fields = json.collect();
        if let Ok(data) = from_fields(&json) {
            return data;
        }
        // At least one value doesn't match. Starts with the defaults, and adds the values one by one.
        let mut data = T::default();
        let defaults = to_fields(&data);
        let mut fields: Fields = defaults.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let mut unreadable = Vec::new();
        for (name, value) in json {
            let mut more = fields.clone();
            more.insert(name, value);
            match from_fields(&more) {
                Ok(with_value) => (fields, data) = (more, with_value),
                Err(_) => unreadable.push(name),
            }
        }
        if !unreadable.is_empty() && !self.is_logged.0.replace(true) {
            tracing::warn!(target: TARGET, fields = ?unreadable, "ignoring unreadable values of a session");
        }
        data
    }

    /// Changes the contents of the session. Only fields whose value changed are written.
    ///
    /// The session is saved as a whole when the response is ready. If two requests change it at the same
    /// time, one change is lost. Keep counters and other shared data in separate tables.
    ///
    /// # Panics
    /// Panics if `T` isn't serialized as a JSON object.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        let mut data = self.data();
        let before = to_fields(&data);
        change(&mut data);
        let after = to_fields(&data);
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.session.remove(name);
        }
        for (name, value) in after {
            match value.get() {
                json if before.get(&name).is_some_and(|before| before.get() == json) => {}
                "null" => drop(self.session.remove(&name)),
                // `insert`, not `update`: in actix-session 0.11, `update` doesn't mark the session as changed.
                _ => self.session.insert(name, value).expect("JSON can be serialized as JSON"),
            }
        }
    }
}

impl<T> Typed<T> {
    /// Gives the session a new key ([`PgSession::rotate`]).
    pub fn rotate(&self) {
        self.session.rotate();
    }

    /// Starts a session that belongs to `owner` ([`PgSession::log_in`]).
    pub fn log_in<O: Owner>(&self, owner: O) -> LogIn<'_> {
        self.session.log_in(owner)
    }

    /// Ends the session ([`PgSession::end`]).
    pub fn end(&self) {
        self.session.end();
    }

    /// Returns whether the session has no contents. It may be new, or have ended, or be a login without values.
    pub fn is_empty(&self) -> bool {
        self.session.entries().keys().all(|name| is_reserved(name))
    }

    /// Returns actix-session's own session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl<T: 'static> FromRequest for Typed<T> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let is_logged = request.extensions_mut().get_or_insert_with(IsLogged::default).clone();
        ready(Ok(Self { session: request.get_session(), is_logged, contents: PhantomData }))
    }
}

/// The JSON of each field.
type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

fn from_fields<T: DeserializeOwned>(fields: &Fields) -> serde_json::Result<T> {
    T::deserialize(MapDeserializer::new(fields.iter().map(|(name, value)| (*name, *value))))
}

fn to_fields(data: &impl Serialize) -> BTreeMap<String, Box<RawValue>> {
    let fields = serde_json::to_string(data).and_then(|json| serde_json::from_str(&json));
    fields.expect("a session's contents must be a struct with named fields")
}
