//! The program's commands for operators.

#[path = "../support/process.rs"]
#[allow(dead_code)]
mod process;

use crate::{ADA, NEW_PASSWORD, PASSWORD, account, ada, other, support::TestApp};

/// Runs the program on the app's database.
fn run(app: &TestApp, arguments: &[&str], input: &str) -> (bool, String, String) {
    let secret = ("SESSION_SECRET", "a secret of the tests and of nothing else");
    let variables = [("DATABASE_URL", &*app.database.url), secret];
    let (code, printed, log) = process::run(&std::env::temp_dir(), arguments, &variables, input);
    (code == Some(0), printed, log)
}

#[actix_web::test]
async fn accounts_can_be_listed_blocked_unblocked_and_deleted_and_each_change_is_logged() {
    let (app, account, browser) = ada().await;
    let id = account.id.to_string();

    let (_, list, _) = run(&app, &["accounts", "list"], "");
    let (_, _, blocked) = run(&app, &["accounts", "disable", ADA], "");
    let is_member_while_blocked = browser.is_member().await;
    let (_, list_while_blocked, _) = run(&app, &["accounts", "list"], "");
    let (_, _, unblocked) = run(&app, &["accounts", "enable", "ADA@example.org"], "");
    let login = app.browser().log_in(ADA, PASSWORD).await;
    let (_, _, deleted) = run(&app, &["accounts", "delete", ADA], "");

    assert!(list.contains(&id) && list.contains(ADA) && !list.contains("blocked"), "{list}");
    assert!(!is_member_while_blocked && list_while_blocked.contains("blocked"), "{list_while_blocked}");
    assert_eq!(login.status, 303, "{login:#?}");
    for (log, what) in
        [(blocked, "blocked the account"), (unblocked, "unblocked"), (deleted, "deleted the account")]
    {
        assert!(log.contains(what) && log.contains(&id), "{log}");
    }
    let rows = "select (select count(*) from accounts) + (select count(*) from sessions)";
    assert_eq!(app.database.number(rows).await, 0);
}

#[actix_web::test]
async fn a_password_is_set_from_standard_input_and_ends_all_sessions() {
    let (app, account, browser) = ada().await;

    let (is_set, _, log) = run(&app, &["accounts", "set-password", ADA], &format!("{NEW_PASSWORD}\n"));
    let late = other(&app, &account).await;
    let (is_common, _, refused) = run(&app, &["accounts", "set-password", ADA], "password\n");
    let (is_argument, ..) = run(&app, &["accounts", "set-password", ADA, NEW_PASSWORD], "");

    assert!(is_set && log.contains("set the password") && !log.contains(NEW_PASSWORD), "{log}");
    assert!(!is_common && refused.contains("most common") && !is_argument, "{refused}");
    assert!(!browser.is_member().await && !late.is_member().await);
    assert_eq!(app.browser().log_in(ADA, NEW_PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn the_sessions_of_an_account_can_be_ended() {
    let (app, before, browser) = ada().await;
    let bob = other(&app, &account(&app, "bob@example.org").await).await;

    let (is_ended, _, log) = run(&app, &["accounts", "end-sessions", ADA], "");
    let late = other(&app, &before).await;
    let (is_unknown, _, unknown) = run(&app, &["accounts", "end-sessions", "eve@example.org"], "");

    assert!(is_ended && log.contains("ended all sessions"), "{log}");
    assert!(!browser.is_member().await && !late.is_member().await && bob.is_member().await);
    assert!(!is_unknown && unknown.contains("no account with this address"), "{unknown}");
}
