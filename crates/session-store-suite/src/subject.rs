//! What the suite needs to know about a store.

use actix_session::storage::{SessionKey, SessionStore};
use time::Duration;

/// A store to test. The methods inspect it and control its server. You can write them as `async fn`.
pub trait Subject {
    /// The store.
    type Store: SessionStore;

    /// Returns a new instance of the store, for another worker of the same app. All instances share their sessions.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Makes a session older, as if the time `by` had passed. This also brings it closer to its expiry.
    fn age(&self, key: &SessionKey, by: Duration) -> impl Future<Output = ()>;

    /// Returns everything that is stored outside the browser, including keys and states, in any format.
    fn stored(&self) -> impl Future<Output = String>;

    /// The names of guarantees that the store doesn't claim. The suite checks and reports them anyway.
    fn unclaimed(&self) -> &[&str] {
        &[]
    }

    /// The maximum lifetime of a session, regardless of activity. The default is 8 hours.
    fn max_age(&self) -> Duration {
        Duration::hours(8)
    }

    /// The names of guarantees that the suite doesn't check, because they don't apply. By default, these are the ones
    /// about a server. If the store has a server, return `&[]`, and implement the three methods below.
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
