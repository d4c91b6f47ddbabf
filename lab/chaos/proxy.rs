//! Forwards connections between a replica and PostgreSQL, until it drops them.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

pub struct Proxy {
    pub port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Forwards to `target`. The threads stop with the process.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let shared = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // If the server is down, the client sees a closed connection.
                let Ok(server) = TcpStream::connect(target) else { continue };
                let ends = || [client.try_clone(), server.try_clone()].map(|end| end.expect("a copy"));
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend(ends());
                let [from, to] = ends();
                thread::spawn(move || forward(from, to));
                let [to, from] = ends();
                thread::spawn(move || forward(from, to));
            }
        });
        Self { port, connections }
    }

    /// Closes all connections, but still accepts new ones. Returns how many were closed.
    pub fn drop_all(&self) -> usize {
        let dropped = std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        dropped.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        dropped.len() / 2
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
