//! Tests two replicas on one database, as during a rolling restart, with different settings and with the
//! schema of a newer version.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Visitor};
use crate::program::{App, eventually};
use crate::stage::Stage;

const OLD: &str = "the older of the two secrets of this test";
const NEW: &str = "the newer of the two secrets of this test";

/// Starts two replicas, each with a visitor that has visited it once.
fn replicas(stage: &Stage, secrets: [&str; 2]) -> [(App, Visitor); 2] {
    secrets.map(|secret| {
        let app = stage.app_with(&[("SESSION_SECRET", secret)]);
        let mut visitor = app.visitor();
        assert_eq!(visitor.get("/").visits(), 1);
        (app, visitor)
    })
}

/// Returns the count that a visitor sees on a replica.
fn visits_on(app: &App, visitor: &mut Visitor) -> u64 {
    visitor.moves_to(app.address);
    visitor.get("/").visits()
}

#[test]
fn changing_the_secret_in_the_documented_order_logs_nobody_out_and_loses_no_visit() {
    let stage = Stage::new();
    let both = [format!("{OLD},{NEW}"), format!("{NEW},{OLD}")];
    let mut oldest = stage.app_with(&[("SESSION_SECRET", OLD)]).visitor();
    let mut visits = 0;

    for secrets in [[OLD, &both[0]], [&both[0], &both[1]]] {
        let [(old, mut first), (new, mut second)] = replicas(&stage, secrets);
        for count in 1..=3 {
            for app in [&old, &new] {
                visits += 1;
                assert_eq!(visits_on(app, &mut oldest), visits, "{secrets:?}");
            }
            assert_eq!(visits_on(&new, &mut first), 2 * count, "{secrets:?}");
            assert_eq!(visits_on(&old, &mut first), 2 * count + 1, "{secrets:?}");
            assert_eq!(visits_on(&old, &mut second), 2 * count, "{secrets:?}");
            assert_eq!(visits_on(&new, &mut second), 2 * count + 1, "{secrets:?}");
        }
    }
}

#[test]
fn changing_the_secret_in_one_step_makes_new_sessions_invalid_on_old_replicas() {
    let stage = Stage::new();
    let both = format!("{NEW},{OLD}");

    let [(old, mut first), (new, mut second)] = replicas(&stage, [OLD, &both]);

    assert_eq!(visits_on(&new, &mut first), 2);
    assert_eq!(visits_on(&old, &mut second), 1, "a new session");
}

/// A migration of the next version. Both versions run on this schema.
const NEXT: &str = "
    alter table visitors add nickname text;
    alter table sessions add device text not null default 'unknown';
    insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    values (1000, 'next', true, '', 0)";

/// Undoes [`NEXT`], as docs/deploy.md says.
const UNDO: &str = "
    alter table visitors drop nickname;
    alter table sessions drop device;
    delete from _sqlx_migrations where version = 1000";

/// The program can't be built twice here, so `next` runs this version, and the test writes what only the next
/// version would write.
#[test]
fn visitors_that_alternate_between_two_versions_lose_neither_visits_nor_sessions() {
    let stage = Stage::new();
    let settings = [("SESSION_SECRET", OLD), ("EXPERIMENTS", "true")];
    let old = stage.app_with(&settings);
    let next = stage.app_with(&[("SESSION_SECRET", &format!("{OLD},{NEW}"))]);
    let (total, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let all_return = || {
        let seen = total.load(Ordering::Relaxed);
        let more = || (total.load(Ordering::Relaxed) > seen + 200).then_some(());
        eventually("visits", Duration::from_secs(30), more);
        assert!(old.is_ready() && next.is_ready());
    };

    thread::scope(|scope| {
        let visitors: Vec<_> =
            (0..8).map(|_| scope.spawn(|| visit_both(&old, &next, &total, &is_over))).collect();
        all_return();
        stage.sql(NEXT);
        all_return();
        stage.sql(
            "update sessions set device = 'phone', state = (state::jsonb || '{\"theme\":\"dark\"}')::json",
        );
        all_return();

        // A session of the old version has no theme.
        let mut visitor = old.visitor();
        assert_eq!([visits_on(&old, &mut visitor), visits_on(&next, &mut visitor)], [1, 2]);
        // The old version rotates the key of a session from the next version.
        stage.sql(
            "update sessions set device = 'phone', state = (state::jsonb || '{\"theme\":\"dark\"}')::json",
        );
        visitor.cookie = rotate(&old, &visitor);
        assert_eq!([visits_on(&next, &mut visitor), visits_on(&old, &mut visitor)], [3, 4]);
        let kept = "select distinct state->>'theme', device from sessions order by device";
        assert_eq!(
            stage.sql(kept),
            "dark|phone\ndark|unknown",
            "a rotation keeps the state, but not the new column"
        );

        let url = [("DATABASE_URL", stage.url())];
        let mut restarted = App::spawn(&url);
        assert!(!restarted.ends_within(Duration::from_secs(10)).success());
        assert!(restarted.log().contains("previously applied but is missing"), "{}", restarted.log());
        stage.sql(UNDO);
        let restarted = stage.app_with(&settings);
        all_return();

        assert_eq!(visits_on(&restarted, &mut visitor), 5);
        is_over.store(true, Ordering::Relaxed);
        for visitor in visitors {
            let (id, visits) = visitor.join().expect("no visit failed");
            let counted = stage.sql(&format!("select visits from visitors where id = '{id}'"));
            assert_eq!(counted, visits.to_string(), "{id}");
        }
    });
}

/// Visits two replicas in turn, each on a persistent connection. Returns the visitor's ID and the number of visits.
fn visit_both(one: &App, other: &App, total: &AtomicU64, is_over: &AtomicBool) -> (String, u64) {
    let (begin, mut visits, mut id) = (Instant::now(), 0, String::new());
    let mut browsers = [one.visitor(), other.visitor()];
    while !is_over.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(60) {
        let page = browsers[0].get("/");
        visits += 1;
        assert_eq!(page.visits(), visits, "{page:#?}");
        page.visitor().clone_into(&mut id);
        total.fetch_add(1, Ordering::Relaxed);
        let cookie = browsers[0].cookie.clone();
        browsers[1].cookie = cookie;
        browsers.swap(0, 1);
    }
    (id, visits)
}

/// Rotates the key of the visitor's session, and returns the new cookie.
fn rotate(app: &App, visitor: &Visitor) -> Option<String> {
    let request = format!(
        "POST /experiments/rotate HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nCookie: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n",
        visitor.cookie.as_deref().expect("a cookie")
    );
    let answer = client::send(app.address, request.as_bytes()).expect("an answer");
    let cookie = answer.header("set-cookie").and_then(|set| set.split(';').next());
    Some(cookie.unwrap_or_else(|| panic!("{answer:#?}")).to_owned())
}

#[test]
fn a_replica_is_not_ready_while_a_column_that_it_needs_is_renamed() {
    let stage = Stage::new();
    let app = stage.app();

    for (table, column) in [("visitors", "visits"), ("sessions", "state"), ("sessions", "ends_at")] {
        stage.sql(&format!("alter table {table} rename {column} to renamed"));
        eventually("not ready", Duration::from_secs(5), || (!app.is_ready()).then_some(()));
        stage.sql(&format!("alter table {table} rename renamed to {column}"));
        app.wait_until_ready(Duration::from_secs(5));
    }
}
