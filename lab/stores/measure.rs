//! What is measured of each store: the suite's report, and figures of the example's pages.

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::{
    cookie::{Key, time::Duration},
    rt,
};
use app::visitors::VisitCounter;
use futures_util::future::try_join_all;
use session_store_suite::{Report, Subject, revived_sessions, run};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    kind::Kind,
    pages::{self, COOKIE, visit_together},
    subjects::{Cookie, InPostgres, InRedis, Memory},
};

/// Time limit for a request, and for all logout races.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

const HALF_AN_HOUR: Duration = Duration::minutes(30);

/// A column of the table in `docs/stores.md`.
pub struct Column {
    pub kind: Kind,
    pub report: Report,
    /// Visits counted of 200 at once, with the count in the session.
    pub counted: u64,
    /// Sessions that are still valid after 1,000 logouts, each at the same time as another request.
    pub revived: usize,
    /// Length of the cookie's value, in bytes.
    pub cookie: usize,
    /// Statements or commands for a returning visit.
    pub statements: u64,
    /// How many of 100 sessions survive a crash of what holds them.
    pub survivors: usize,
    /// The same, for a Redis with its default settings.
    pub survivors_with_defaults: Option<usize>,
    /// Visits counted of 200 at once, with the count in a table of its own.
    pub counted_in_table: Option<u64>,
}

/// Measures a store with its server.
pub async fn column(kind: Kind) -> Column {
    match kind {
        Kind::Memory => {
            let subject = Memory::default();
            let store = subject.store().await;
            measure(kind, &subject, move || store.clone(), async |_| 0).await
        }
        Kind::Cookie => {
            measure(kind, &Cookie, actix_session::storage::CookieSessionStore::default, async |_| 0).await
        }
        Kind::Redis => {
            // As durable as PostgreSQL. With `appendfsync everysec`, a crash can lose the last writes.
            let subject = InRedis::new(&[("appendonly", "yes"), ("appendfsync", "always")]);
            let store = subject.store().await;
            let count = async |visits: Visits| commands(&subject, visits).await;
            let column = measure(kind, &subject, move || store.clone(), count).await;
            Column { survivors_with_defaults: Some(survivors(&InRedis::new(&[])).await), ..column }
        }
        Kind::Postgres => {
            let subject = InPostgres::new().await;
            let pool = subject.another_pool();
            let count = async |visits: Visits| statements(&subject.pool, visits).await;
            let store = move || actix_session_postgres::PgSessionStore::new(pool.clone());
            let counted_in_table = Some(counted_in_table(&subject.pool).await);
            Column { counted_in_table, ..measure(kind, &subject, store, count).await }
        }
    }
}

/// Ten returning visits to the example, one after the other.
pub struct Visits {
    address: String,
    cookie: String,
}

impl Visits {
    const COUNT: u64 = 10;

    async fn make(&self) {
        for _ in 0..Self::COUNT {
            get(&self.address, "/", Some(&self.cookie)).await;
        }
    }
}

async fn measure<S: Subject>(
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
    let races = rt::time::timeout(PATIENCE, revived_sessions(subject, 1_000)).await;
    let revived = races.expect("in time").expect("no error");
    let report = run(subject).await;
    let survivors = survivors(subject).await;
    Column {
        kind,
        report,
        counted,
        revived,
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

/// Returns the length of a cookie's value before it was percent-encoded, which depends on chance.
fn decoded_length(cookie: &str) -> usize {
    cookie.len() - 2 * cookie.matches('%').count()
}

/// Returns how many commands Redis runs for a visit.
async fn commands(subject: &InRedis, visits: Visits) -> u64 {
    let mut connection = subject.connection();
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection).expect("reset");
    visits.make().await;
    let statistics: String =
        redis::cmd("INFO").arg("commandstats").query(&mut connection).expect("statistics");
    // Such as `cmdstat_get:calls=10,usec=23,…`.
    let calls = statistics
        .lines()
        .filter(|line| !line.contains("cmdstat_config"))
        .filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok());
    calls.sum::<u64>() / Visits::COUNT
}

/// Returns how many statements PostgreSQL runs for a visit.
async fn statements(pool: &PgPool, visits: Visits) -> u64 {
    sqlx::raw_sql("select pg_stat_statements_reset()").execute(pool).await.expect("reset");
    visits.make().await;
    let sql = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query like '%sessions%'";
    let calls: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.expect("statistics");
    calls.unsigned_abs() / Visits::COUNT
}

async fn survivors(subject: &impl Subject) -> usize {
    let before = subject.store().await;
    let mut keys: Vec<SessionKey> = Vec::new();
    for n in 0..100 {
        keys.push(before.save([("n".into(), n.to_string())].into(), &HALF_AN_HOUR).await.expect("saved"));
    }
    subject.restart().await;
    let after = subject.store().await;
    let mut survivors = 0;
    for key in &keys {
        survivors += usize::from(after.load(key).await.expect("no error").is_some());
    }
    survivors
}

async fn counted_in_table(pool: &PgPool) -> u64 {
    let (counter, visitor) = (VisitCounter::new(pool, std::time::Duration::from_secs(60)), Uuid::now_v7());
    let before = counter.count(visitor).await.expect("counted");
    let counts = try_join_all((0..200).map(|_| counter.count(visitor))).await.expect("counted");
    counts.into_iter().max().map_or(0, |after| after.abs_diff(before))
}
