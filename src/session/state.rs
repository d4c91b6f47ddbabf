//! How a session's state is written in the `state` column: plain JSON that a person can read and query, and that gives
//! back every byte it was given.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

/// What actix-session holds for one session: names, and for each the JSON text of its value.
pub type SessionState = HashMap<String, String>;

/// The usual shape, `{"user_id":"0199…"}`: every value is JSON, as all that comes through `Session::insert` is, and each
/// keeps its own text; no number is parsed.
type Json<'a> = BTreeMap<String, &'a RawValue>;

/// The trait lets a caller save any text. Values that are not JSON stand apart, as JSON strings:
/// `[{"user_id":"0199…"},{"note":"not JSON"}]`.
type WithText<'a> = (Json<'a>, BTreeMap<String, String>);

/// Writes a state as the text of a JSON document. Equal states give equal texts: the names are in order.
///
/// # Errors
/// Only what `serde_json` gives for a state that it cannot write; none is known.
pub fn encode(state: &SessionState) -> serde_json::Result<String> {
    let (mut json, mut text) = WithText::default();
    for (name, value) in state {
        match serde_json::from_str::<&RawValue>(value) {
            // White space around a value would not come back.
            Ok(raw) if raw.get().len() == value.len() => drop(json.insert(name.clone(), raw)),
            _ => drop(text.insert(name.clone(), value.clone())),
        }
    }
    if text.is_empty() { serde_json::to_string(&json) } else { serde_json::to_string(&(json, text)) }
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// The text is not JSON, or not of a shape that [`encode`] writes.
pub fn decode(column: &str) -> serde_json::Result<SessionState> {
    let (json, text): WithText = if column.starts_with('[') {
        serde_json::from_str(column)?
    } else {
        (serde_json::from_str(column)?, BTreeMap::new())
    };
    let json = json.into_iter().map(|(name, raw)| (name, raw.get().to_owned()));
    Ok(json.chain(text).collect())
}
