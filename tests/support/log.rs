//! What the application has logged in this process, a JSON object a line.

use std::{
    io::{self, Write},
    sync::{Mutex, Once, PoisonError},
};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts to listen; each test's application does it.
pub fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter("debug,hyper=off,sqlx=info,actix_session=error")
            .with_writer(|| Capture)
            .init();
    });
}

/// Every line so far that contains `text`: tests run side by side, so ask for an id that is yours.
pub fn lines_with(text: &str) -> Vec<String> {
    let bytes = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
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
