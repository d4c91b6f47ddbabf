//! The database is away, full, locked or slow.

use std::{
    os::unix::fs::MetadataExt, os::unix::process::CommandExt, process::Command, thread, time::Duration,
};

use dev::process;

use crate::{
    client::{Answer, Visitor},
    stage::{App, Stage, eventually},
};

const TWO_SECONDS: Duration = Duration::from_secs(2);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// An outage seen by a stranger and by a visitor who has a session: a page, soon, and everything else as ever. The
/// session and its count are there afterwards.
fn assert_survives(app: &App, outage: impl FnOnce(), end: impl FnOnce()) {
    let mut visitor = app.visitor();
    let user = visitor.get("/").user().to_owned();

    outage();
    for answer in [app.get("/"), visitor.get("/")] {
        answer.assert_is_503_page();
        assert!(answer.took < TWO_SECONDS, "{answer:#?}");
    }
    app.assert_alive();
    end();

    app.assert_recovers_within(FIVE_SECONDS);
    let again = visitor.get("/");
    assert_eq!((again.status, again.user()), (200, &*user), "{again:#?}");
}

/// So many requests at the same time, each on a connection of its own, with the cookie of this visitor.
fn at_once(app: &App, requests: usize, path: &str, visitor: &Visitor) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = || app.visitor_with(visitor.cookie.clone()).get(path);
        let threads = (0..requests).map(|_| scope.spawn(ask)).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

#[test]
fn without_its_database_the_app_starts_and_serves_within_five_seconds_of_its_coming() {
    let mut stage = Stage::new();
    stage.postgres.stop().expect("stop");

    let app = stage.start(&[("COOKIE_SECURE", "true")]);

    assert_eq!(app.get("/health/live").status, 200);
    let ready = app.get("/health/ready");
    assert_eq!(ready.status, 503, "{ready:#?}");
    let page = app.get("/");
    page.assert_is_503_page();
    page.assert_asks_for_https();
    assert!(page.took < TWO_SECONDS, "{page:#?}");
    app.assert_alive();

    stage.postgres.restart().expect("start");

    app.wait_until_ready(FIVE_SECONDS);
    assert_eq!(app.get("/").status, 200);
}

#[test]
fn a_stopped_database_is_a_503_page_and_nobody_loses_their_session() {
    let stage = std::cell::RefCell::new(Stage::new());
    let app = stage.borrow().app();

    assert_survives(
        &app,
        || stage.borrow_mut().postgres.stop().expect("stop"),
        || stage.borrow_mut().postgres.restart().expect("start"),
    );
}

#[test]
fn an_exhausted_pool_is_a_503_page_within_two_seconds() {
    let stage = Stage::new();
    let app = stage.app_with(&[("DATABASE_MAX_CONNECTIONS", "2")]);
    let mut visitor = app.visitor();
    visitor.get("/");

    let lock = stage.holding("begin; lock table users");
    // The page reads through the pool, whose two connections wait for the lock, and so everybody for them.
    for answer in at_once(&app, 16, "/visits", &visitor).iter().chain(&at_once(&app, 16, "/", &visitor)) {
        answer.assert_is_503_page();
        assert!(answer.took < TWO_SECONDS, "{answer:#?}");
    }
    app.assert_alive();
    drop(lock);

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/visits").status, 200);
}

#[test]
fn a_database_that_takes_no_more_connections_is_a_503_page_within_two_seconds() {
    let stage = Stage::with(&[("max_connections", "10"), ("superuser_reserved_connections", "0")]);
    let app = stage.app();

    // Ours are cut, and others take their places: ten less the one that cuts.
    let mut others = vec![stage.holding(
        "select count(pg_terminate_backend(pid, 1000)) from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()",
    )];
    others.extend((0..9).map(|_| stage.holding("select 1")));
    for answer in at_once(&app, 4, "/", &app.visitor()) {
        answer.assert_is_503_page();
        assert!(answer.took < TWO_SECONDS, "{answer:#?}");
    }
    app.assert_alive();
    drop(others);

    app.assert_recovers_within(FIVE_SECONDS);
}

#[test]
fn a_statement_that_takes_too_long_is_a_503_page() {
    let stage = Stage::new();
    let app = stage.app();

    assert_survives(
        &app,
        || {
            stage.sql(
                "create function dawdle() returns trigger language plpgsql
                     as 'begin perform pg_sleep(60); return new; end';
                 create trigger dawdle before insert or update on users
                     for each row execute function dawdle()",
            );
        },
        || {
            let busy = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            eventually("PostgreSQL has given up, too", TWO_SECONDS, || {
                (stage.sql(busy) == "0").then_some(())
            });
            stage.sql("drop trigger dawdle on users");
        },
    );
}

#[test]
fn a_read_only_database_is_a_503_page_and_not_ready() {
    let stage = Stage::new();
    let app = stage.app();

    assert_survives(
        &app,
        || {
            stage.sql("alter system set default_transaction_read_only = on");
            stage.sql("select pg_reload_conf()");
            eventually("it is not ready", FIVE_SECONDS, || (!app.is_ready()).then_some(()));
        },
        || {
            stage.sql("alter system reset default_transaction_read_only");
            stage.sql("select pg_reload_conf()");
        },
    );
}

/// A quota on the size of files stands for a full disk. PostgreSQL meets it at the same place, where a table's file can't
/// grow, and it takes no privilege: a small file system would have to be mounted, which containers seldom may.
#[test]
fn a_full_disk_is_a_503_page() {
    let stage = Stage::new();
    let app = stage.app();
    stage.sql(
        "insert into users (id) select gen_random_uuid() from generate_series(1, 250000);
         insert into sessions (id, state, expires_at)
             select sha256(gen_random_uuid()::text::bytea), '{}', now() + interval '1 hour'
             from generate_series(1, 250000);
         checkpoint",
    );
    let mut visitor = app.visitor();
    let user = visitor.get("/").user().to_owned();

    // As large as a segment of the write-ahead log, which the disk had room for when it was made, and smaller than the
    // tables are by now.
    limit_files(&stage, "16777216:unlimited");
    let refused = eventually("a file can't grow", FIVE_SECONDS, || {
        let answer = app.get("/");
        (answer.status != 200).then_some(answer)
    });
    refused.assert_is_503_page();
    app.assert_alive();
    limit_files(&stage, "unlimited:unlimited");

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/").user(), user);
}

fn limit_files(stage: &Stage, limits: &str) {
    let server = stage.postgres.pid();
    let owner = std::fs::metadata(format!("/proc/{server}")).expect("this test needs Linux");
    for pid in std::iter::once(server).chain(process::children(server)) {
        let mut prlimit = Command::new("prlimit");
        prlimit.args([format!("--pid={pid}"), format!("--fsize={limits}")]);
        // Even root in a container may change the limits of its own processes alone.
        prlimit.uid(owner.uid()).gid(owner.gid());
        let output = prlimit.output().expect("this test needs `prlimit`, of util-linux");
        let gone = !process::is_running(pid);
        assert!(output.status.success() || gone, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
