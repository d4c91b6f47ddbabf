//! The format of the `state` column: JSON that people can read and query. It preserves every byte of a value.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

/// The contents of a session as actix-session passes them: names, and the JSON text of each value.
pub type SessionState = HashMap<String, String>;

/// The usual format: `{"user_id":"0199…"}`. Each value keeps its exact text, so numbers don't change.
type Json<'a> = BTreeMap<String, &'a RawValue>;

/// The format for values that are not JSON, which the trait also allows: `[{"user_id":"0199…"},{"note":"not JSON"}]`.
type WithText<'a> = (Json<'a>, BTreeMap<String, String>);

/// Converts a state to JSON, sorted by name.
///
/// # Errors
/// Returns an error if `serde_json` can't serialize the state.
pub fn encode(state: &SessionState) -> serde_json::Result<String> {
    let (mut json, mut text) = WithText::default();
    for (name, value) in state {
        match serde_json::from_str::<&RawValue>(value) {
            // JSON would lose the spaces around a value.
            Ok(raw) if raw.get().len() == value.len() => drop(json.insert(name.clone(), raw)),
            _ => drop(text.insert(name.clone(), value.clone())),
        }
    }
    if text.is_empty() { serde_json::to_string(&json) } else { serde_json::to_string(&(json, text)) }
}

/// Parses a state that [`encode`] has returned.
///
/// # Errors
/// Returns an error if `column` has neither of the two formats.
pub fn decode(column: &str) -> serde_json::Result<SessionState> {
    let (json, text): WithText = if column.starts_with('[') {
        serde_json::from_str(column)?
    } else {
        (serde_json::from_str(column)?, BTreeMap::new())
    };
    let json = json.into_iter().map(|(name, raw)| (name, raw.get().to_owned()));
    Ok(json.chain(text).collect())
}
