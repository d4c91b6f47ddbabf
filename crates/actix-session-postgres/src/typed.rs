//! The contents of a session as a struct.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_session::{Session, SessionExt};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::session::{LogIn, RESERVED};
use crate::{PgSession, TARGET, owner::Owner};

/// An extractor for the request's session, whose contents are the struct `T`.
///
/// Each field of `T` is a value in the session, under the field's name. Fields that are `None` are left out. Values for
/// which `T` has no field remain in the session. `data` and `update` panic if `T` isn't serialized as a map, like a struct.
pub struct Typed<T> {
    session: Session,
    contents: PhantomData<fn() -> T>,
}

impl<T: Default + Serialize + DeserializeOwned> Typed<T> {
    /// Returns the contents of the session, with values from `T::default()` in place of missing values and those of the
    /// wrong type. A value of the wrong type remains in the session, and its name is logged.
    pub fn data(&self) -> T {
        let entries = self.session.entries();
        let json = entries.iter().filter(|(name, _)| **name != *RESERVED);
        let values = json.filter_map(|(name, json)| Some((name.clone(), serde_json::from_str(json).ok()?)));
        let values: Map<String, Value> = values.collect();
        if let Ok(data) = T::deserialize(&values) {
            return data;
        }
        // A value is missing or doesn't match. Starts with the defaults, and adds the values one by one.
        let mut data = T::default();
        let mut fields = to_fields(&data);
        let mut unreadable = Vec::new();
        for (name, value) in values {
            let mut more = fields.clone();
            more.insert(name.clone(), value);
            match T::deserialize(&more) {
                Ok(with_value) => (fields, data) = (more, with_value),
                Err(_) => unreadable.push(name),
            }
        }
        if !unreadable.is_empty() {
            tracing::warn!(target: TARGET, fields = ?unreadable, "ignoring unreadable values of a session");
        }
        data
    }

    /// Changes the contents of the session. Only fields whose value changed are written. The session is saved as a
    /// whole, so if two requests change it at the same time, one change is lost.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        let mut data = self.data();
        let before = to_fields(&data);
        change(&mut data);
        let after = to_fields(&data);
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.session.remove(name);
        }
        for (name, value) in after {
            match value {
                value if before.get(&name) == Some(&value) => {}
                Value::Null => drop(self.session.remove(&name)),
                // `insert`, not `update`: in actix-session 0.11, `update` doesn't mark the session as changed.
                value => self.session.insert(name, value).expect("JSON can be serialized as JSON"),
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
        self.session.entries().keys().all(|name| *name == *RESERVED)
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
        ready(Ok(Self { session: request.get_session(), contents: PhantomData }))
    }
}

fn to_fields(data: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(data) {
        Ok(Value::Object(fields)) => fields,
        _ => panic!("a session's contents must be a struct with named fields"),
    }
}
