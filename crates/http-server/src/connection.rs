//! The open connections of one worker, and when each of them must be closed.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

use crate::Limits;

/// Time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The open connections of one worker.
pub struct Connections {
    /// Maximum number, at which actix-server stops accepting.
    places: usize,
    limits: Limits,
    /// Whether the server is stopping.
    stopping: Arc<AtomicBool>,
    open: Cell<usize>,
    all: RefCell<Vec<Weak<Connection>>>,
}

impl Connections {
    pub fn new(places: usize, limits: Limits, stopping: Arc<AtomicBool>) -> Rc<Self> {
        Rc::new(Self { places, limits, stopping, open: Cell::new(0), all: RefCell::default() })
    }

    /// Adds a new connection. If 7/8 of the places are taken, the one that has been idle for longest is closed.
    pub fn add(self: &Rc<Self>) -> Rc<Connection> {
        if self.open.get() >= self.places * 7 / 8 {
            self.close_oldest_idle();
        }
        let connection = Rc::new(Connection {
            connections: self.clone(),
            state: Cell::new(State::Idle),
            idle_since: Cell::new(Instant::now()),
            has_unread: Cell::new(false),
            stalled_since: Cell::new(None),
            is_last_response: Cell::new(false),
            waker: RefCell::default(),
        });
        self.open.set(self.open.get() + 1);
        self.all.borrow_mut().push(Rc::downgrade(&connection));
        connection
    }

    /// Closes connections that have been idle or stalled for too long. Checks once a second, and never returns.
    pub async fn close_expired(self: Rc<Self>) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.all.borrow_mut().retain(|connection| {
                connection.upgrade().inspect(|connection| connection.close_if_expired()).is_some()
            });
        }
    }

    fn close_oldest_idle(&self) {
        let all = self.all.borrow();
        let idle = all.iter().filter_map(Weak::upgrade).filter(|one| one.state.get() == State::Idle);
        if let Some(oldest) = idle.min_by_key(|one| one.idle_since.get()) {
            oldest.close(State::Closing);
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a request.
    Idle,
    /// A request is running, and its body may still arrive.
    Receiving,
    /// A request is running and has arrived completely.
    Responding,
    /// It is closed when everything that was written to it is sent.
    Closing,
    /// It is closed at once.
    Aborted,
}

/// An open connection. Its requests find it in their `conn_data`.
pub struct Connection {
    connections: Rc<Connections>,
    state: Cell<State>,
    /// When it last became idle.
    idle_since: Cell<Instant>,
    /// When the client stopped reading, if it has.
    stalled_since: Cell<Option<Instant>>,
    /// Whether the client has sent something that is left in the kernel's buffers.
    has_unread: Cell<bool>,
    /// Whether a response with `Connection: close` has begun.
    is_last_response: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    pub fn state(&self) -> State {
        self.state.get()
    }

    pub fn set_state(&self, state: State) {
        if !matches!(self.state.get(), State::Closing | State::Aborted) {
            self.state.set(state);
            if state == State::Idle {
                self.idle_since.set(Instant::now());
            }
        }
    }

    /// Whether every response should close its connection.
    pub fn is_stopping(&self) -> bool {
        self.connections.stopping.load(Ordering::Relaxed)
    }

    /// Whether a response with `Connection: close` has begun.
    pub fn is_last_response(&self) -> bool {
        self.is_last_response.get()
    }

    pub fn begin_last_response(&self) {
        self.is_last_response.set(true);
    }

    /// A response is complete, though perhaps not sent yet.
    pub fn end_response(&self) {
        self.set_state(if self.is_last_response() { State::Closing } else { State::Idle });
        if self.has_unread.take() || self.is_last_response() {
            self.wake();
        }
    }

    /// Wakes the task of the connection, which closes it.
    pub fn close(&self, how: State) {
        self.set_state(how);
        self.wake();
    }

    /// Whether to leave what the client sends in the kernel's buffers. While a response isn't sent, actix-http would
    /// read further requests and keep them in memory, however many the client sends.
    pub fn pauses_reading(&self) -> bool {
        !matches!(self.state.get(), State::Idle | State::Receiving) || self.stalled_since.get().is_some()
    }

    /// Records whether there is something to read after the pause.
    pub fn set_unread(&self, has_unread: bool) {
        self.has_unread.set(has_unread);
    }

    /// Records whether the client takes data. Each byte that it takes restarts its time limit.
    pub fn set_stalled(&self, is_stalled: bool) {
        let since = self.stalled_since.get();
        self.stalled_since.set(is_stalled.then(|| since.unwrap_or_else(Instant::now)));
        // Nothing else would wake the task to read what has arrived in the meantime.
        if since.is_some() && !is_stalled && self.has_unread.take() {
            self.wake();
        }
    }

    /// Remembers how to wake the task of the connection.
    pub fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn wake(&self) {
        self.waker.borrow().iter().for_each(Waker::wake_by_ref);
    }

    fn close_if_expired(&self) {
        let limits = &self.connections.limits;
        if self.stalled_since.get().is_some_and(|since| since.elapsed() > limits.stall) {
            tracing::debug!("closing a connection whose client doesn't read");
            self.close(State::Aborted);
        } else if self.state.get() == State::Idle && self.idle_since.get().elapsed() > limits.idle() {
            tracing::debug!("closing an idle connection");
            self.close(State::Closing);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.update(|open| open - 1);
    }
}
