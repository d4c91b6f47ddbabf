//! A column of the tables in `docs/stores.md`: the suite's results for a store, and figures from the
//! example's pages. `lab/bench/peers/postgres` includes this file, too.

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::cookie::{Key, time::Duration};
use actix_web::rt;
use session_store_suite::{Finding, Report, Subject, run, undone_logouts};

use crate::kind::Kind;
use crate::pages::{self, COOKIE, visit_together};

/// Time limit for a single request, and for all logout races together.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

const HALF_AN_HOUR: Duration = Duration::minutes(30);

/// A column of the table in `docs/stores.md`.
pub struct Column {
    pub kind: Kind,
    pub report: Report,
    /// How many of 200 concurrent visits were counted, with the count in the session.
    pub counted: u64,
    /// Sessions that are still valid after 1,000 logouts, each concurrent with another request.
    pub undone: usize,
    /// Length of the cookie's value, in bytes.
    pub cookie: usize,
    /// Statements or commands per returning visit.
    pub statements: u64,
    /// How many of 100 sessions survive a crash of the process that stores them.
    pub survivors: usize,
    /// The same for Redis with its default settings.
    pub survivors_with_defaults: Option<usize>,
    /// How many of 200 concurrent visits were counted, with the count in a separate table.
    pub counted_in_table: Option<u64>,
}

/// The titles of two figures that depend on races. Imperfect values vary from run to run, but a perfect value is
/// perfect in every run.
pub const COUNTED: &str = "visits counted out of 200 concurrent visits, with the count in the session";
pub const UNDONE: &str = "logouts undone by a concurrent request, out of 1,000";

/// The titles of rows, and this store's cells.
pub type Cells = Vec<(String, String)>;

impl Column {
    pub fn guarantees(&self) -> Cells {
        let cell = |finding: &Finding| {
            (finding.sentence.to_owned(), finding.verdict.replace("broken", "**broken**"))
        };
        self.report.0.iter().map(cell).collect()
    }

    pub fn figures(&self) -> Cells {
        let in_table = self.counted_in_table.map_or("–".to_owned(), |counted| counted.to_string());
        let survivors = match self.survivors_with_defaults {
            Some(defaults) => format!("{} with `appendfsync always`, {defaults} by default", self.survivors),
            None => self.survivors.to_string(),
        };
        let another_server = match self.kind {
            Kind::Memory => "a proxy that sends each visitor to the same process",
            Kind::Redis => "the same Redis and secret",
            Kind::Cookie => "the same secret",
            Kind::Postgres => "the same PostgreSQL and secret",
        };
        let figures = [
            (COUNTED, self.counted.to_string()),
            ("visits counted, with the count in a separate table", in_table),
            (UNDONE, self.undone.to_string().replace("1000", "1,000")),
            ("bytes in the cookie, with only the count in the session", self.cookie.to_string()),
            ("statements or commands per visit", self.statements.to_string()),
            ("sessions that survive a crash and restart, out of 100", survivors),
            ("what another app server needs", another_server.to_owned()),
        ];
        figures.map(|(title, cell)| (title.to_owned(), cell)).into()
    }
}

/// Ten returning visits to the example, one after the other.
pub struct Visits {
    address: String,
    cookie: String,
}

impl Visits {
    pub const COUNT: u64 = 10;

    pub async fn make(&self) {
        for _ in 0..Self::COUNT {
            get(&self.address, "/", Some(&self.cookie)).await;
        }
    }
}

/// Measures a store.
pub async fn measure<S: Subject>(
    kind: Kind,
    subject: &S,
    store: impl Fn() -> S::Store + Clone + Send + 'static,
    statements: impl AsyncFnOnce(Visits) -> u64,
) -> Column
where
    S::Store: 'static,
{
    let (address, server) = example(kind, store);
    let cookie = get(&address, "/", None).await.1.expect("a session");
    let statements = statements(Visits { address: address.clone(), cookie: cookie.clone() }).await;
    let counted = visit_together(&address, &cookie, 200).await.expect("visits").counted;
    server.stop(false).await;
    let races = rt::time::timeout(PATIENCE, undone_logouts(subject, 1_000)).await;
    let undone = races.expect("in time").expect("no error");
    let report = run(subject).await;
    let survivors = survivors(subject).await;
    Column {
        kind,
        report,
        counted,
        undone,
        cookie: decoded_length(&cookie),
        statements,
        survivors,
        survivors_with_defaults: None,
        counted_in_table: None,
    }
}

/// Starts the example's pages with a store. Returns their address.
pub fn example<S: SessionStore + 'static>(
    kind: Kind,
    store: impl Fn() -> S + Clone + Send + 'static,
) -> (String, actix_web::dev::ServerHandle) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = pages::serve(listener, kind, Key::generate(), store).expect("a server");
    let handle = server.handle();
    rt::spawn(server);
    (address, handle)
}

/// Returns a page of the example, and the cookie that it sets.
pub async fn get(address: &str, path: &str, cookie: Option<&str>) -> (String, Option<String>) {
    let request = reqwest::Client::new().get(format!("http://{address}{path}")).timeout(PATIENCE);
    let request = match cookie {
        Some(cookie) => request.header("cookie", format!("{COOKIE}={cookie}")),
        None => request,
    };
    let response = request.send().await.expect("a response").error_for_status().expect("a page");
    let set = response.headers().get("set-cookie").map(|set| set.to_str().expect("text"));
    let set = set.map(|set| pages::value_of(set).to_owned());
    (response.text().await.expect("a page"), set)
}

/// Returns the length of a cookie's value before percent-encoding, because the encoded length is random.
fn decoded_length(cookie: &str) -> usize {
    cookie.len() - 2 * cookie.matches('%').count()
}

/// Returns how many of 100 sessions survive a crash.
pub async fn survivors(subject: &impl Subject) -> usize {
    let before = subject.store().await;
    let mut keys: Vec<SessionKey> = Vec::new();
    for n in 0..100 {
        keys.push(before.save([("n".into(), n.to_string())].into(), &HALF_AN_HOUR).await.expect("saved"));
    }
    subject.stop_server().await;
    subject.start_server().await;
    let after = subject.store().await;
    let mut survivors = 0;
    for key in &keys {
        survivors += usize::from(after.load(key).await.expect("no error").is_some());
    }
    survivors
}
