//! The contents of a session as a struct.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    future::{Ready, ready},
    marker::PhantomData,
    rc::Rc,
};

use actix_session::{Session, SessionExt};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use serde::{Serialize, de::DeserializeOwned, de::value::MapDeserializer};
use serde_json::value::RawValue;

use crate::{PgSession, TARGET, change::is_reserved, owner::Owner, session::LogIn};

/// An extractor for the request's session. Its contents are the struct `T`.
///
/// Each field of `T` is a value in the session, under the field's name. Fields that are `None` are left out.
/// Values for which `T` has no field remain in the session.
pub struct Typed<T> {
    session: Session,
    /// Whether this request has already logged an unreadable value.
    is_logged: Rc<Cell<bool>>,
    contents: PhantomData<fn() -> T>,
}

type Fields = BTreeMap<String, Box<RawValue>>;

impl<T: Default + Serialize + DeserializeOwned> Typed<T> {
    /// Returns the contents of the session. For a missing value, you get the default from `T::default()`.
    ///
    /// The same applies to a value that doesn't match its field's type, for example after an update of the
    /// app. The value remains in the session. Each request logs such values once, without their contents.
    ///
    /// # Panics
    /// Panics if `T` isn't serialized as a JSON object.
    pub fn data(&self) -> T {
        let entries = self.session.entries();
        let fields = readable_json(&entries);
        if let Ok(data) = from_fields(&fields) {
            return data;
        }
        // At least one value doesn't match. Tries each value alone, with defaults for all others.
        let default = to_fields(&T::default());
        let default: BTreeMap<&str, &RawValue> =
            default.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let with = |added: &BTreeMap<&str, &RawValue>| {
            let mut all = default.clone();
            all.extend(added);
            from_fields::<T>(&all)
        };
        let (readable, unreadable): (BTreeMap<_, _>, BTreeMap<_, _>) =
            fields.into_iter().partition(|&(name, value)| with(&[(name, value)].into()).is_ok());
        if !unreadable.is_empty() && !self.is_logged.replace(true) {
            let fields: Vec<_> = unreadable.into_keys().collect();
            tracing::warn!(target: TARGET, ?fields, "ignoring unreadable values of a session");
        }
        with(&readable).unwrap_or_default()
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
            if before.get(&name).is_some_and(|before| before.get() == value.get()) {
                continue;
            }
            match value.get() {
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

    /// Returns whether the session has no contents. It may be new, have ended, or be a login without values.
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
        #[derive(Clone, Default)]
        struct IsLogged(Rc<Cell<bool>>);

        let session = request.get_session();
        let IsLogged(is_logged) = request.extensions_mut().get_or_insert_with(IsLogged::default).clone();
        ready(Ok(Self { session, is_logged, contents: PhantomData }))
    }
}

/// Returns the values that are valid JSON.
fn readable_json(entries: &HashMap<String, String>) -> BTreeMap<&str, &RawValue> {
    let entries = entries.iter().filter(|(name, _)| !is_reserved(name));
    entries.filter_map(|(name, json)| Some((name.as_str(), serde_json::from_str(json).ok()?))).collect()
}

fn from_fields<T: DeserializeOwned>(fields: &BTreeMap<&str, &RawValue>) -> serde_json::Result<T> {
    T::deserialize(MapDeserializer::new(fields.iter().map(|(name, value)| (*name, *value))))
}

fn to_fields(data: &impl Serialize) -> Fields {
    let fields = serde_json::to_string(data).and_then(|json| serde_json::from_str(&json));
    fields.expect("a session's contents must be a struct with named fields")
}
