//! What the suite needs to know about a store.

use std::future::Future;

use actix_session::storage::{SessionKey, SessionStore};
use time::Duration;

/// A store to test, with methods that let the suite inspect it and control its server.
///
/// Three methods are required. For a store with a server, also implement the methods after
/// [`Subject::inapplicable`]. You can write them as `async fn`.
pub trait Subject {
    /// The store.
    type Store: SessionStore;

    /// Returns a new instance of the store, like one that another worker of the same app would use. All
    /// instances share their sessions. The suite's sessions have a time to live of up to 30 minutes.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Makes a session older, as if the time `by` had passed. This also brings it closer to its expiry.
    fn age(&self, key: &SessionKey, by: Duration) -> impl Future<Output = ()>;

    /// Returns everything that is stored outside the browser, including keys and states, in any format.
    fn stored(&self) -> impl Future<Output = String>;

    /// The names of guarantees that the store doesn't claim. The suite checks them anyway, and reports which
    /// ones the store keeps.
    fn unclaimed(&self) -> &[&str] {
        &[]
    }

    /// The maximum lifetime of a session, regardless of activity. The default is 8 hours.
    fn max_age(&self) -> Duration {
        Duration::hours(8)
    }

    /// The names of guarantees that don't apply to the store. The suite doesn't check them. By default, these
    /// are the guarantees about a server that can fail while the app is running. If the store has a server,
    /// return `&[]`, and implement the three methods below.
    fn inapplicable(&self) -> &[&str] {
        &["server_clock", "outage", "recovery"]
    }

    /// Kills the server, and returns once it has exited. A store in the app's memory loses its sessions.
    fn stop_server(&self) -> impl Future<Output = ()> {
        async {}
    }

    /// Starts the server again, with the data on its disk. Returns once it accepts connections.
    fn start_server(&self) -> impl Future<Output = ()> {
        async {}
    }

    /// Returns a store whose server's clock is a day ahead of the app's.
    fn with_clock_a_day_ahead(&self) -> impl Future<Output = Self::Store> {
        self.store()
    }
}
