//! The format of the `state` column: JSON that people can query. It preserves every byte of each value.

use std::collections::{BTreeMap, HashMap};

use anyhow::ensure;
use serde_json::{from_str, to_string, value::RawValue};

/// Maximum length of a session's state as JSON, in bytes: 64 KiB. The table has the same limit.
pub const MAX_STATE_BYTES: usize = 64 * 1024;

/// The contents of a session as actix-session passes them: names, and the JSON text of each value.
pub type State = HashMap<String, String>;

/// The usual format: `{"user_id":"0199…"}`. Numbers keep their exact text.
type Json<'a> = BTreeMap<String, &'a RawValue>;

/// The format for states with values that aren't JSON, which the `SessionStore` trait also allows:
/// `[{"user_id":"0199…"},{"note":"not JSON"}]`.
type WithText<'a> = (Json<'a>, BTreeMap<String, String>);

/// Converts a state to JSON, sorted by name. Fails if the JSON is longer than [`MAX_STATE_BYTES`].
pub fn encode(state: &State) -> anyhow::Result<String> {
    let (mut json, mut text) = WithText::default();
    for (name, value) in state {
        match from_str::<&RawValue>(value) {
            // JSON would lose the spaces around a value.
            Ok(raw) if raw.get().len() == value.len() => drop(json.insert(name.clone(), raw)),
            _ => drop(text.insert(name.clone(), value.clone())),
        }
    }
    let column = if text.is_empty() { to_string(&json) } else { to_string(&(json, text)) }?;
    let size = column.len();
    ensure!(size <= MAX_STATE_BYTES, "the session's state has {size} bytes; the limit is {MAX_STATE_BYTES}");
    Ok(column)
}

/// Parses a state that [`encode`] has returned. Fails if `column` has neither of the two formats.
pub fn decode(column: &str) -> serde_json::Result<State> {
    let usual = from_str(column).map(|json| (json, BTreeMap::new()));
    let (json, text): WithText = usual.or_else(|_| from_str(column))?;
    let json = json.into_iter().map(|(name, raw)| (name, raw.get().to_owned()));
    Ok(json.chain(text).collect())
}
