//! A `state` column with arbitrary contents: reading it never panics, and a state is the same after it was written and read.

#![no_main]

use std::collections::HashMap;

use app::session::state::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, HashMap<String, String>)| {
    let (column, state) = input;
    if let Ok(state) = decode(column) {
        assert_eq!(decode(&encode(&state).expect("JSON")).expect("what encode() wrote"), state);
    }
    assert_eq!(decode(&encode(&state).expect("JSON")).expect("what encode() wrote"), state);
});
