//! Tests a database that is stopped, full, locked or slow.

use std::{
    os::unix::fs::MetadataExt, os::unix::process::CommandExt, process::Command, thread, time::Duration,
};

use dev::process;

use crate::client::{Answer, Visitor};
use crate::program::{App, eventually};
use crate::stage::Stage;

const TWO_SECONDS: Duration = Duration::from_secs(2);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// Checks that during an outage, new and returning visitors soon get an error page, and everything that
/// doesn't need the database works. Afterward, the session and its count are still there.
fn assert_survives(app: &App, outage: impl FnOnce(), end: impl FnOnce()) {
    let mut visitor = app.visitor();
    let user = visitor.get("/").visitor().to_owned();
    let count = visitor.get("/").visits();

    outage();
    for answer in [app.get("/"), visitor.get("/")] {
        answer.assert_is_503_page();
        app.assert_in_time(&answer, TWO_SECONDS);
    }
    app.assert_alive();
    end();

    app.assert_recovers_within(FIVE_SECONDS);
    // The batcher doesn't check a connection that was used within the last second, so after a very short
    // outage, one more visit may fail.
    let mut visits = count + 1;
    let again = eventually("the visitor's page is served", FIVE_SECONDS, || {
        visits += 1;
        let page = visitor.get("/");
        if page.status != 200 {
            page.assert_is_503_page();
            return None;
        }
        Some(page)
    });
    assert_eq!(again.visitor(), user, "{again:#?}");
    // Visits that failed with a 503 may have been counted.
    assert!((count + 1..=visits).contains(&again.visits()), "after {count}: {again:#?}");
}

/// Sends concurrent requests for a page, each on its own connection, with this visitor's cookie.
pub fn at_once(app: &App, requests: usize, path: &str, visitor: &Visitor) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = || app.visitor_with(visitor.cookie.clone()).get(path);
        let threads = (0..requests).map(|_| scope.spawn(ask)).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    })
}

#[test]
fn an_app_started_without_its_database_serves_within_five_seconds_of_the_databases_start() {
    let mut stage = Stage::new();
    stage.postgres.stop();

    let app = stage.start(&[("COOKIE_SECURE", "true")]);

    assert_eq!(app.get("/health/live").status, 200);
    let ready = app.get("/health/ready");
    assert_eq!(ready.status, 503, "{ready:#?}");
    let page = app.get("/");
    page.assert_is_503_page();
    page.assert_asks_for_https();
    app.assert_in_time(&page, TWO_SECONDS);
    app.assert_alive();

    stage.postgres.restart().expect("start");

    app.wait_until_ready(FIVE_SECONDS);
    assert_eq!(app.get("/").status, 200);
}

#[test]
fn a_stopped_database_causes_a_503_page_but_loses_no_session() {
    let stage = std::cell::RefCell::new(Stage::new());
    let app = stage.borrow().app();

    assert_survives(
        &app,
        || stage.borrow_mut().postgres.stop(),
        || stage.borrow_mut().postgres.restart().expect("start"),
    );
}

#[test]
fn an_exhausted_pool_causes_a_503_page_within_two_seconds() {
    let stage = Stage::new();
    let app = stage.app_with(&[("DATABASE_MAX_CONNECTIONS", "2")]);
    let mut visitor = app.visitor();
    visitor.get("/");

    let lock = stage.holding("begin; lock table visitors");
    // `/visits` reads the count through the pool. Two requests wait for the lock, and the others wait for connections.
    for path in ["/visits", "/"] {
        for answer in at_once(&app, 16, path, &visitor) {
            answer.assert_is_503_page();
            app.assert_in_time(&answer, TWO_SECONDS);
        }
    }
    app.assert_alive();
    drop(lock);

    app.assert_recovers_within(FIVE_SECONDS);
    let visits = visitor.get("/visits");
    assert_eq!(visits.status, 200, "{visits:#?}");
}

#[test]
fn a_pool_that_cannot_grow_serves_with_its_existing_connections() {
    let stage = Stage::with(&[("max_connections", "20"), ("superuser_reserved_connections", "0")]);
    let app = stage.app_with(&[("WORKERS", "1")]);
    let mut visitor = app.visitor();
    visitor.get("/");
    visitor.get("/");
    // This page reads the count through the pool.
    visitor.get("/visits");

    // Takes every free connection, even one that is just being closed or opened.
    let (mut others, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        match stage.try_holding("select 1") {
            Some(other) => others.push(other),
            None => refused += 1,
        }
        thread::sleep(Duration::from_millis(50));
    }

    assert!(others.len() > 5, "{} other connections", others.len());

    for answer in at_once(&app, 10, "/visits", &visitor) {
        assert_eq!((answer.status, answer.visits()), (200, 2), "{answer:#?}");
        app.assert_in_time(&answer, Duration::from_secs(1));
    }
}

#[test]
fn a_database_without_free_connections_causes_a_503_page_within_two_seconds() {
    let stage = Stage::with(&[("max_connections", "10"), ("superuser_reserved_connections", "0")]);
    let app = stage.app();

    // Takes all ten connections. The first one also ends the app's connections, and PostgreSQL needs a moment for that.
    let mut others = vec![stage.holding(
        "select count(pg_terminate_backend(pid, 1000)) from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()",
    )];
    eventually("all connections are taken", Duration::from_secs(10), || {
        others.extend(stage.try_holding("select 1"));
        (others.len() == 10).then_some(())
    });
    for answer in at_once(&app, 4, "/", &app.visitor()) {
        answer.assert_is_503_page();
        app.assert_in_time(&answer, TWO_SECONDS);
    }
    app.assert_alive();
    drop(others);

    app.assert_recovers_within(FIVE_SECONDS);
}

#[test]
fn a_statement_that_takes_too_long_causes_a_503_page() {
    let stage = Stage::new();
    let app = stage.app();

    assert_survives(
        &app,
        || {
            stage.sql(
                "create function wait() returns trigger language plpgsql
                     as 'begin perform pg_sleep(60); return new; end';
                 create trigger wait before insert or update on sessions
                     for each row execute function wait();
                 create trigger wait before insert or update on visitors
                     for each row execute function wait()",
            );
        },
        || {
            let busy = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            eventually("PostgreSQL has canceled the statements", TWO_SECONDS, || {
                (stage.sql(busy) == "0").then_some(())
            });
            stage.sql("drop trigger wait on sessions; drop trigger wait on visitors");
        },
    );
}

#[test]
fn with_a_read_only_database_the_app_returns_a_503_page_and_is_not_ready() {
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

#[test]
fn the_app_is_not_ready_without_its_tables_or_privileges_and_logs_the_reason_once() {
    let stage = Stage::new();
    let url = stage.url();
    let password = url.split([':', '@']).nth(2).expect("the URL has a password");
    stage.sql(&format!("create role app login password '{password}'; grant create on schema public to app"));
    let app = stage.app_with(&[("DATABASE_URL", &url.replace("//postgres:", "//app:"))]);
    let mut visitor = app.visitor();
    visitor.get("/");
    visitor.get("/");

    for (outage, end, cause) in [
        ("revoke select on sessions from app", "grant select on sessions to app", "table sessions"),
        ("revoke insert on sessions from app", "grant insert on sessions to app", "may not write"),
        ("revoke update on sessions from app", "grant update on sessions to app", "may not write"),
        ("revoke delete on sessions from app", "grant delete on sessions to app", "may not write"),
        ("revoke insert on visitors from app", "grant insert on visitors to app", "may not write"),
        ("alter table visitors rename to gone", "alter table gone rename to visitors", "does not exist"),
        ("alter table sessions rename to gone", "alter table gone rename to sessions", "does not exist"),
    ] {
        let lines = app.log().lines().count();
        stage.sql(outage);
        // The result is cached for 200 ms.
        thread::sleep(Duration::from_millis(250));
        for _ in 0..5 {
            assert_eq!(app.get("/health/ready").status, 503, "{outage}");
        }
        stage.sql(end);
        thread::sleep(Duration::from_millis(250));
        for _ in 0..5 {
            assert_eq!(app.get("/health/ready").status, 200, "{end}");
        }
        // A separate thread writes the app's log.
        let new = eventually("it is ready again in the log", FIVE_SECONDS, || {
            let new = app.log().lines().skip(lines).map(str::to_owned).collect::<Vec<_>>();
            new.iter().any(|line| line.contains("ready again")).then_some(new)
        });
        let reasons = new.iter().filter(|line| line.contains("not ready")).collect::<Vec<_>>();
        assert!(reasons.len() == 1 && reasons[0].contains(cause), "{outage}: {new:#?}");
        assert_eq!(new.iter().filter(|line| line.contains("ready again")).count(), 1, "{end}: {new:#?}");
    }
    assert_eq!(visitor.get("/").visits(), 3);
}

/// Limits the size of files, so that a table can't grow. PostgreSQL reports an internal error instead of a
/// full disk, so the app returns a 500 page. `lab/chaos` fills a real disk, which requires root.
#[test]
fn a_table_that_cannot_grow_causes_an_error_page_and_the_app_recovers() {
    let stage = Stage::new();
    let app = stage.app();
    stage.sql(
        "insert into sessions (id, state, idle_seconds, ends_at, expires_at)
             select sha256(gen_random_uuid()::text::bytea), '{}', 1800, now() + interval '8 hours', now() + interval '1 hour'
             from generate_series(1, 250000);
         checkpoint",
    );
    let mut visitor = app.visitor();
    let user = visitor.get("/").visitor().to_owned();

    // A segment of the write-ahead log has this size and must still fit. The table is already larger.
    limit_files(&stage, "16777216:unlimited");
    let refused = eventually("a file can't grow", FIVE_SECONDS, || {
        let answer = app.get("/");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.status, 500, "{refused:#?}");
    app.assert_alive();
    limit_files(&stage, "unlimited:unlimited");

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/").visitor(), user);
}

fn limit_files(stage: &Stage, limits: &str) {
    let server = stage.postgres.pid;
    let owner = std::fs::metadata(format!("/proc/{server}")).expect("this test needs Linux");
    for pid in std::iter::once(server).chain(process::children(server)) {
        let mut prlimit = Command::new("prlimit");
        prlimit.args([format!("--pid={pid}"), format!("--fsize={limits}")]);
        // In a container, root may not change the limits of other users' processes.
        prlimit.uid(owner.uid()).gid(owner.gid());
        let output = prlimit.output().expect("this test needs `prlimit` from util-linux");
        let gone = !process::is_running(pid);
        assert!(output.status.success() || gone, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
