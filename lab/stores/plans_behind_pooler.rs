//! Tests visits while the planner's statistics describe an empty table, with and without PgBouncer.

use std::time::{Duration, Instant};

use crate::pooler::{TIME_LIMIT, app_behind, has_pgbouncer, without_passwords};
use crate::support::{Browser, TestApp, TestDatabase};

/// The text of statements changes every ten seconds, which forces a new plan. The rest is time for the measurement.
const PATIENCE: Duration = Duration::from_secs(30);

async fn fill(app: &TestApp) {
    let sql = "
        set statement_timeout = 0; -- the role may have a limit
        insert into sessions (id, state, expires_at, idle_seconds, ends_at)
        select sha256(n::text::bytea), '{}', now() + interval '20 minutes', 1800, now() + interval '1 day'
        from generate_series(1, 300000) as n";
    app.database.execute(sql).await;
}

/// Returns how many seconds 20 visits take. PostgreSQL uses its generic plan from the sixth execution on.
async fn visit(browser: &Browser) -> f64 {
    let start = Instant::now();
    for _ in 0..20 {
        browser.get("/").await;
    }
    start.elapsed().as_secs_f64()
}

/// Compares two apps. One table was analyzed when it was empty, and the other when it was full.
async fn assert_visits_reach_four_fifths_of_normal(old: TestApp, normal: TestApp) {
    for app in [&old, &normal] {
        app.database.execute("alter table sessions set (autovacuum_enabled = false)").await;
    }
    old.database.execute("analyze sessions").await;
    fill(&normal).await;
    normal.database.execute("analyze sessions").await;
    let (old_browser, normal_browser) = (old.browser(), normal.browser());
    visit(&old_browser).await;
    visit(&normal_browser).await;

    fill(&old).await;

    let start = Instant::now();
    loop {
        let mut ratios = Vec::new();
        for _ in 0..9 {
            ratios.push(visit(&normal_browser).await / visit(&old_browser).await);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{:.1} s after the fill: {:.2} of the normal visits per second",
            start.elapsed().as_secs_f64(),
            ratios[4]
        );
        if ratios[4] >= 0.8 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "visits are still at {:.2} of normal", ratios[4]);
    }
}

#[actix_web::test]
async fn visits_are_fast_after_a_table_that_was_analyzed_while_empty_has_grown() {
    let app = async || TestApp::on(TestDatabase::on_own_server().await, &[]).await;

    assert_visits_reach_four_fifths_of_normal(app().await, app().await).await;
}

#[actix_web::test]
async fn visits_behind_pgbouncer_are_fast_after_a_table_that_was_analyzed_while_empty_has_grown() {
    if !has_pgbouncer() {
        return;
    }
    let (old, _old_pooler) = app_behind(&without_passwords(), TIME_LIMIT).await;
    let (normal, _normal_pooler) = app_behind(&without_passwords(), TIME_LIMIT).await;

    assert_visits_reach_four_fifths_of_normal(old, normal).await;
}
