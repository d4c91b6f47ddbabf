//! The promises.

use anyhow::Result;

use crate::{
    Subject,
    promises::{ends, races, server, states, time},
};

/// What an app may want to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// `save` and `update` store any text, JSON or not, and `load` returns the same bytes.
    RoundTrip,
    /// Every `save` creates a separate session, even if 50 run concurrently.
    NoOverwriting,
    /// `load` returns `None` or [`LoadError::Deserialization`](actix_session::storage::LoadError).
    InvalidKeys,
    /// Concurrent updates through two instances of the store never mix, and the session keeps its key.
    ConcurrentUpdates,
    /// `save` and `update` refuse 2 MiB and change nothing.
    SizeLimit,
    /// Keys are stored neither as text nor in hexadecimal, so that a copy of the data contains no valid keys.
    HiddenKeys,
    /// After `delete`, neither the key nor the state is stored. Deleting it again is not an error.
    CompleteDeletion,
    /// After an `update` of a deleted session, neither the old key nor the key that it returns is valid.
    UpdateAfterDelete,
    /// A session stays deleted in 100 rounds in which an update and a deletion start at the same time.
    SlowSave,
    /// A session expires when the time to live of the last call is over, and not before.
    IdleTimeout,
    /// A session ends at [`Subject::max_age`], even if it is used every 20 minutes.
    MaxAge,
    /// Neither `update_ttl` nor `update` brings an expired session back.
    ExpiredStaysExpired,
    /// `update_ttl` sets the time to live of a live session.
    Touch,
    /// A time to live that is shorter than the current one changes nothing.
    TouchOnlyExtends,
    /// The store's server decides when a session expires, and the app's clock doesn't matter.
    ServerClock,
    /// Every call fails within 3 seconds while the server is down.
    OutageIsAnError,
    /// The same instance of the store works again within 3 seconds after an outage.
    Recovery,
    /// 20 sessions survive [`Subject::restart`] right after they were saved.
    Durability,
}

impl Promise {
    /// All promises, in the order in which they are tested.
    pub const ALL: [Self; 18] = [
        Self::RoundTrip,
        Self::NoOverwriting,
        Self::InvalidKeys,
        Self::ConcurrentUpdates,
        Self::SizeLimit,
        Self::HiddenKeys,
        Self::CompleteDeletion,
        Self::UpdateAfterDelete,
        Self::SlowSave,
        Self::IdleTimeout,
        Self::MaxAge,
        Self::ExpiredStaysExpired,
        Self::Touch,
        Self::TouchOnlyExtends,
        Self::ServerClock,
        Self::OutageIsAnError,
        Self::Recovery,
        Self::Durability,
    ];

    /// The promises about a server that can fail while the app runs.
    pub const ABOUT_A_SERVER: [Self; 3] = [Self::ServerClock, Self::OutageIsAnError, Self::Recovery];

    /// Returns the promise as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RoundTrip => "A state is loaded byte for byte as it was saved",
            Self::NoOverwriting => "Saving a session never overwrites another one",
            Self::InvalidKeys => "Unknown and malformed keys have no session",
            Self::ConcurrentUpdates => {
                "After 200 concurrent updates, the session holds exactly one of them, complete"
            }
            Self::SizeLimit => "A state that is too large is an error, and the session stays as it was",
            Self::HiddenKeys => "Keys are not stored in the clear",
            Self::CompleteDeletion => "Deletion is complete and idempotent",
            Self::UpdateAfterDelete => "An update after a deletion revives nothing",
            Self::SlowSave => "A slow request never undoes a concurrent logout",
            Self::IdleTimeout => "A session expires if it isn't used",
            Self::MaxAge => "A session expires at its maximum age, regardless of activity",
            Self::ExpiredStaysExpired => "An expired session stays expired, whichever method is called",
            Self::Touch => "`update_ttl` extends a session",
            Self::TouchOnlyExtends => "`update_ttl` never shortens a session",
            Self::ServerClock => "The clocks of the app and the server may differ by a day",
            Self::OutageIsAnError => "An outage is an error within 3 seconds, never an empty session",
            Self::Recovery => "The store recovers within 3 seconds after an outage",
            Self::Durability => "Saved sessions survive a crash of the store",
        }
    }

    /// Tests one promise.
    ///
    /// # Errors
    /// Returns an error that says how the store breaks the promise.
    pub async fn check(self, subject: &impl Subject) -> Result<()> {
        match self {
            Self::RoundTrip => states::a_state_is_loaded_byte_for_byte(subject).await,
            Self::NoOverwriting => states::a_save_never_overwrites_another_session(subject).await,
            Self::InvalidKeys => states::unknown_and_malformed_keys_have_no_session(subject).await,
            Self::ConcurrentUpdates => races::one_of_200_concurrent_updates_is_stored(subject).await,
            Self::SizeLimit => states::a_state_that_is_too_large_is_an_error(subject).await,
            Self::HiddenKeys => states::keys_are_not_stored_in_the_clear(subject).await,
            Self::CompleteDeletion => ends::a_deletion_is_complete_and_idempotent(subject).await,
            Self::UpdateAfterDelete => ends::an_update_after_a_deletion_revives_nothing(subject).await,
            Self::SlowSave => races::a_slow_request_never_undoes_a_logout(subject).await,
            Self::IdleTimeout => time::a_session_expires_if_it_is_not_used(subject).await,
            Self::MaxAge => time::a_session_expires_at_its_maximum_age(subject).await,
            Self::ExpiredStaysExpired => ends::an_expired_session_stays_expired(subject).await,
            Self::Touch => time::update_ttl_extends_a_session(subject).await,
            Self::TouchOnlyExtends => time::update_ttl_never_shortens_a_session(subject).await,
            Self::ServerClock => time::the_servers_clock_may_be_a_day_off(subject).await,
            Self::OutageIsAnError => server::an_outage_is_an_error_and_never_an_empty_session(subject).await,
            Self::Recovery => server::the_store_recovers_by_itself(subject).await,
            Self::Durability => server::saved_sessions_survive_a_crash(subject).await,
        }
    }
}
