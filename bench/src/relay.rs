//! Stands between a server and PostgreSQL, and counts how often the server waits for it.
//!
//! Every wait ends with the message `ReadyForQuery`, a ping's too, of which PostgreSQL's own statistics know nothing.
//! See [the protocol](https://www.postgresql.org/docs/current/protocol-message-formats.html).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const READY_FOR_QUERY: u8 = b'Z';

/// A relay that runs until this process ends.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    round_trips: Arc<AtomicU64>,
}

impl Relay {
    /// Starts one to a server at `port`.
    pub fn start(port: u16) -> Result<Self> {
        let round_trips = Arc::new(AtomicU64::new(0));
        let (tell, told) = mpsc::channel();
        let count = Arc::clone(&round_trips);
        thread::spawn(move || -> std::io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                // The other end waits for it.
                let _ = tell.send(listener.local_addr()?.port());
                loop {
                    let (client, _) = listener.accept().await?;
                    let server = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::spawn(relay(client, server, Arc::clone(&count)));
                }
            })
        });
        let port = told.recv().context("the relay does not start")?;
        Ok(Relay { port, round_trips })
    }

    /// How often anybody has waited for PostgreSQL through it.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }
}

async fn relay(client: TcpStream, server: TcpStream, round_trips: Arc<AtomicU64>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut messages = Messages::default();
    let up = pass(from_client, to_server, |_| {});
    let down = pass(from_server, to_client, |bytes| {
        round_trips.fetch_add(messages.count(bytes), Ordering::Relaxed);
    });
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut look: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        look(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
    }
}

/// Where one message of the server ends and the next begins: each has a byte for its kind, and its length in four.
#[derive(Default)]
struct Messages {
    header: Vec<u8>,
    /// Of the message that began before.
    rest: usize,
    began: bool,
}

impl Messages {
    /// How many of these bytes' messages are `ReadyForQuery`.
    fn count(&mut self, mut bytes: &[u8]) -> u64 {
        // The one answer without a length: no, we speak no TLS.
        if !std::mem::replace(&mut self.began, true) && bytes == b"N" {
            return 0;
        }
        let mut found = 0;
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = (5 - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [kind, a, b, c, d] = self.header[..] {
                found += u64::from(kind == READY_FOR_QUERY);
                self.rest = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                self.header.clear();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_however_the_messages_are_cut() {
        let text = b"C\0\0\0\x0bUPDATE\0Z\0\0\0\x05ID\0\0\0\x06ZZZ\0\0\0\x05I";
        for cut in 0..text.len() {
            let mut messages = Messages::default();
            assert_eq!(messages.count(&text[..cut]) + messages.count(&text[cut..]), 2, "cut at {cut}");
        }
    }
}
