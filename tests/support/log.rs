//! The log of all apps in this process, with one JSON object per line.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use serde_json::Value;

/// All lines, and the threads that logged them.
static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

/// Starts capturing the log. Each test app does this.
pub fn capture() {
    capture_at("debug,hyper=off,sqlx=info,actix_session=warn");
}

/// Like [`capture`], with a different filter. Only the first call's filter counts.
pub fn capture_at(filter: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_env_filter(filter)
            .with_writer(|| Capture)
            .init();
    });
}

/// Returns all lines that contain `text`. Tests run in parallel, so search for an ID that only your test uses.
pub fn lines_with(text: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|(_, line)| line.contains(text)).map(|(_, line)| line.clone()).collect()
}

/// Prints the end of the last request's log on these threads, for a test that fails.
pub fn print_last_request(threads: &[ThreadId]) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let id = |line: &str| Some(line.split_once(r#""span":{"id":""#)?.1.get(..36)?.to_owned());
    let mut last = lines.iter().rev().filter(|(thread, _)| threads.contains(thread));
    let Some(id) = last.find_map(|(_, line)| id(line)) else { return };
    let of_request: Vec<_> = lines.iter().filter(|(_, line)| line.contains(&id)).collect();
    for (_, line) in &of_request[of_request.len().saturating_sub(5)..] {
        eprintln!("{line}");
    }
}

/// Returns all lines of the first request that logged `text`.
pub fn lines_of_request_with(text: &str) -> Vec<Value> {
    let lines = lines_with(text);
    let line: Value = serde_json::from_str(lines.first().expect("the text is in the log")).expect("JSON");
    lines_of(line["span"]["id"].as_str().expect("a request id"))
}

// demo: begin
/// Returns all log lines of this visitor's first visit.
pub fn lines_of_visit(user: &str) -> Vec<Value> {
    lines_of_request_with(&format!("User {user} has visited the page 1 times"))
}
// demo: end

/// Returns all lines of the request with this ID.
pub fn lines_of(request_id: &str) -> Vec<Value> {
    lines_with(request_id).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

struct Capture;

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).trim_end().to_owned();
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push((thread::current().id(), line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
