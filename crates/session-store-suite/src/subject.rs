//! What a store's author tells the suite.

use std::future::Future;

use actix_session::storage::{SessionKey, SessionStore};
use time::Duration;

/// A store to test, with what the suite needs to look into it and to change its surroundings.
///
/// Three methods are required. A store with a server also needs those after [`Subject::inapplicable`]. Write them as
/// `async fn`.
pub trait Subject {
    /// The store.
    type Store: SessionStore;

    /// Returns a new instance of the store, as another worker of the same app would use it. All instances share
    /// their sessions. The suite's sessions have a time to live of up to 30 minutes.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Makes a session older, as if `by` had passed for it. It also gets closer to its expiry.
    fn age(&self, key: &SessionKey, by: Duration) -> impl Future<Output = ()>;

    /// Returns everything that is stored outside the browser, with keys and states, in any format.
    fn stored(&self) -> impl Future<Output = String>;

    /// The names of the guarantees that the store doesn't claim to give. The suite still checks them, and
    /// reports the ones that the store keeps.
    fn unclaimed(&self) -> &[&str] {
        &[]
    }

    /// The maximum lifetime of a session, regardless of activity. The default is 8 hours.
    fn max_age(&self) -> Duration {
        Duration::hours(8)
    }

    /// Crashes and restarts whatever holds the sessions. By default, [`Subject::stop_server`] and then
    /// [`Subject::start_server`].
    fn restart(&self) -> impl Future<Output = ()> {
        async {
            self.stop_server().await;
            self.start_server().await;
        }
    }

    /// The names of the guarantees that don't apply to the store, which aren't checked. By default, these are
    /// the ones about a server that can fail while the app runs. If the store has a server, return `&[]`, and
    /// write the three methods below.
    fn inapplicable(&self) -> &[&str] {
        &["server_clock", "outage", "recovery"]
    }

    /// Kills the server, and returns once it has exited.
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
