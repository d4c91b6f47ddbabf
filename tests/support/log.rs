//! The log of all apps in this process, with one JSON object per line.

use std::{
    io::{self, Write},
    sync::{Mutex, Once, PoisonError},
};

use serde_json::Value;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts capturing the log. Each test app does this.
pub fn capture() {
    capture_at("debug,hyper=off,sqlx=info,actix_session=error");
}

/// Like [`capture`], with a different filter. Only the first call's filter counts.
pub fn capture_at(filter: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(filter)
            .with_writer(|| Capture)
            .init();
    });
}

/// Returns all lines that contain `text`. Tests run in parallel, so search for an ID that only your test uses.
pub fn lines_with(text: &str) -> Vec<String> {
    let bytes = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Returns all lines of the first request that logged `text`.
pub fn lines_of_request_with(text: &str) -> Vec<Value> {
    let lines = lines_with(text);
    let line: Value = serde_json::from_str(lines.first().expect("the text is in the log")).expect("JSON");
    lines_of(line["span"]["id"].as_str().expect("a request id"))
}

/// Returns all lines of the request with this ID.
pub fn lines_of(request_id: &str) -> Vec<Value> {
    lines_with(request_id).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

struct Capture;

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
