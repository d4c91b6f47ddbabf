//! The app's limits on times, sizes and connections. Raise [`MAX_BODY_BYTES`] for uploads. The others suit most apps.

use std::time::Duration;

/// Maximum length of the path and query, in bytes. RFC 9110 recommends at least 8,000.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// Maximum number of headers. A browser behind two proxies sends about thirty.
pub const MAX_HEADERS: usize = 64;

/// Maximum total length of header names and values, in bytes. Browsers accept cookies of up to 4 KiB each.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Maximum length of a request's body, in bytes. The body can be a form, JSON or anything else.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Time limit for the head of a request.
pub const HEAD_TIME: Duration = Duration::from_secs(5);

/// Time limit for the body of a request, counted from the end of its head.
pub const BODY_TIME: Duration = Duration::from_secs(5);

/// Time limit for an ordinary page. Without one, an unreachable database would block a page for 15 minutes.
pub const PAGE_DEADLINE: Duration = Duration::from_millis(1_800);

/// Time limit for each statement. PostgreSQL cancels a slow statement before the page gives up.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Time limit for the readiness check. Many load balancers wait for only one second.
pub const READY_TIMEOUT: Duration = Duration::from_millis(700);

/// Time after which an idle connection is closed. Load balancers must do that first, usually after 60 seconds.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the app still accepts connections after SIGTERM, so that load balancers see that `/health/ready` fails.
pub const LINGER: Duration = Duration::from_secs(2);

/// Time limit for requests that are still running after [`LINGER`], in whole seconds.
pub const GRACE: Duration = Duration::from_secs(11);

/// Maximum number of open connections. Further clients wait.
pub const MAX_CONNECTIONS: usize = 2_048;

/// Size of the kernel's receive buffer in bytes, which the kernel doubles. Raise it for slow uploads without a proxy.
pub const RECEIVE_BUFFER: usize = 16 * 1024;

/// Maximum memory for one connection: actix-http's buffers for the head and the body, a page, and the body itself.
pub const CONNECTION_BYTES: usize = (128 + 32 + 24) * 1024 + MAX_BODY_BYTES;

/// Memory reserved for the app itself. Without connections, it uses about 30 MiB.
pub const BASE_BYTES: usize = 64 * 1024 * 1024;

/// The memory limit in `docker-compose.yml`, `deploy/app.service` and `deploy/kubernetes.yaml`.
pub const MEMORY_BYTES: usize = 640 * 1024 * 1024;

/// Maximum memory that the app and all its connections use.
pub const PEAK_BYTES: usize = BASE_BYTES + MAX_CONNECTIONS * CONNECTION_BYTES;

const _: () = {
    assert!(STATEMENT_TIMEOUT.as_millis() < PAGE_DEADLINE.as_millis());
    assert!(sqlx_batcher::DEADLINE.as_millis() < PAGE_DEADLINE.as_millis());
    assert!(sqlx_batcher::ACQUIRE_TIMEOUT.as_millis() < PAGE_DEADLINE.as_millis());
    // A request that arrives just before the end of the linger time still gets a response.
    assert!(BODY_TIME.as_millis() + PAGE_DEADLINE.as_millis() < GRACE.as_millis());
    assert!(PEAK_BYTES <= MEMORY_BYTES);
};
