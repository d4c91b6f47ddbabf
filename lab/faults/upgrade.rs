//! Two replicas with different settings on one database, as during a rolling restart.

use crate::{client::Visitor, program::App, stage::Stage};

const OLD: &str = "the older of the two secrets of this test";
const NEW: &str = "the newer of the two secrets of this test";

/// Starts two replicas, each with a visitor who has visited it once.
fn replicas(stage: &Stage, secrets: [&str; 2]) -> [(App, Visitor); 2] {
    secrets.map(|secret| {
        let app = stage.app_with(&[("SESSION_SECRET", secret)]);
        let mut visitor = app.visitor();
        assert_eq!(visitor.get("/").visits(), 1);
        (app, visitor)
    })
}

/// The count that a visitor sees on a replica.
fn visits_on(app: &App, visitor: &mut Visitor) -> u64 {
    visitor.moves_to(app.address);
    visitor.get("/").visits()
}

#[test]
fn a_new_secret_in_the_documented_order_logs_nobody_out_and_loses_no_visit() {
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
fn a_new_secret_in_one_step_is_unknown_to_the_replicas_that_still_run() {
    let stage = Stage::new();
    let both = format!("{NEW},{OLD}");

    let [(old, mut first), (new, mut second)] = replicas(&stage, [OLD, &both]);

    assert_eq!(visits_on(&new, &mut first), 2);
    assert_eq!(visits_on(&old, &mut second), 1, "a new session");
}
