//! Whatever the `state` column holds: reading it never panics, and what was read is written and read again the same.

#![no_main]

use std::collections::HashMap;

use actix_postgres_sessions::session::state::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, HashMap<String, String>)| {
    let (column, state) = input;
    if let Ok(state) = decode(column) {
        assert_eq!(decode(&encode(&state).expect("JSON")).expect("our own"), state);
    }
    assert_eq!(decode(&encode(&state).expect("JSON")).expect("our own"), state);
});
