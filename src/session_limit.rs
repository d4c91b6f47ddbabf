//! Limits how many sessions one client may start, so that a crawler without cookies can't fill the table.

use actix_web::HttpRequest;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::rate_limit::{Limit, networks};
use crate::{Error, http::client::client_address};

/// Counts new sessions and experiments per client. All workers share it.
pub struct SessionLimit {
    sessions: Option<Limit>,
    experiments: Limit,
    experiment: Semaphore,
}

impl SessionLimit {
    /// Allows each client `per_minute` new sessions per minute. `0` means no limit.
    pub fn new(per_minute: u32) -> Self {
        let limit = |n| Limit::new(n, 60.0 / f64::from(n));
        let sessions = (per_minute > 0).then(|| limit(per_minute));
        Self { sessions, experiments: limit(10), experiment: Semaphore::new(1) }
    }

    /// Counts one more session for the client of `request`, or returns [`Error::TooManyRequests`].
    pub fn check(&self, request: &HttpRequest) -> Result<(), Error> {
        let Some(limit) = &self.sessions else { return Ok(()) };
        count(limit, request).inspect_err(|_| {
            metrics::counter!("sessions_refused_total").increment(1);
            let client = client_address(request);
            tracing::warn!(%client, "refused a new session: this client has started too many");
        })
    }

    /// Counts an experiment for the client of `request`, or returns [`Error::TooManyRequests`]. Waits until no other
    /// experiment is running, because one takes as long as many visits. The next one starts when the permit is dropped.
    pub async fn experiment(&self, request: &HttpRequest) -> Result<SemaphorePermit<'_>, Error> {
        count(&self.experiments, request)?;
        Ok(self.experiment.acquire().await.expect("the semaphore is never closed"))
    }
}

fn count(limit: &Limit, request: &HttpRequest) -> Result<(), Error> {
    let [network, ..] = networks(client_address(request));
    limit.count(network).map(drop).map_err(Error::TooManyRequests)
}
