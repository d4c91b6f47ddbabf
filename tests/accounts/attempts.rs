//! Tests how often a client can try a password, and that nobody can lock out the owner.

use app::accounts::attempts::Attempts;
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::{Page, TestApp};
use crate::{ADA, NEW_PASSWORD, PASSWORD, account, ada, goes_to, spawn};

const GUARDED: &str = "update accounts set failures = 50";

/// Tries wrong passwords until one is refused, and returns how many were tried.
async fn tries(app: &TestApp, client: impl Fn(u32) -> String, email: impl Fn(u32) -> String) -> (u32, Page) {
    for n in 0..200 {
        let page = app.browser().log_in_from(&client(n), &email(n), "a guess").await;
        if page.status != 422 {
            return (n, page);
        }
    }
    panic!("no limit")
}

#[actix_web::test]
async fn after_ten_attempts_on_an_account_a_client_is_told_how_long_to_wait() {
    let (app, ..) = ada().await;

    let (tried, page) = tries(&app, |_| "192.0.2.1".into(), |_| ADA.into()).await;
    let right = app.browser().log_in(ADA, PASSWORD).await;

    assert_eq!((tried, page.status.as_u16(), right.status.as_u16()), (10, 429, 429));
    let wait: u64 = page.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{page:#?}");
    assert!(page.element("error").ends_with(&format!("Try again in {wait} seconds.")), "{page:#?}");
    assert!(page.body.contains(r#"value="ada@example.org""#), "{page:#?}");
}

#[test]
fn larger_networks_have_higher_limits() {
    let attempts = Attempts::default();
    let allowed = |client: &dyn Fn(u32) -> String| {
        let check = |n: &u32| {
            let client = client(*n).parse().expect("an address");
            attempts.check_client(client).is_ok()
        };
        (0..200).take_while(check).count()
    };

    for (expected, found) in [
        (30, allowed(&|_| "192.0.2.1".into())),
        (30, allowed(&|n| format!("2001:db8:1::{n:x}"))),
        (60, allowed(&|n| format!("2001:db8:2:{n:x}::1"))),
        (120, allowed(&|n| format!("2001:db8:3:{n:x}00::1"))),
    ] {
        // On a busy machine, a client may regain some attempts in the meantime.
        assert!((expected..expected + 10).contains(&found), "{found} instead of {expected}");
    }
}

#[test]
fn known_browsers_go_first_and_networks_with_many_recent_attempts_go_last() {
    let attempts = Attempts::default();
    let next = |client: &str, known| {
        attempts.check(client.parse().expect("an address"), known, ADA, 0).expect("within the limits")
    };

    let network = [0, 1, 2, 3].map(|n: u32| next(&format!("2001:db8:0:{n:x}00::1"), None));
    let other = next("198.51.100.7", None);
    let known = next("198.51.100.7", Some(Uuid::new_v4()));
    assert_eq!((known, other, network), (0, 1, [1, 2, 3, 4]));
}

#[actix_web::test]
async fn a_network_that_keeps_guessing_locks_out_the_owner_in_none_of_20_tries() {
    let (app, _, browser) = ada().await;
    let (mut guesses, mut lost) = (0, 0);

    for n in 0..20 {
        app.database.execute(GUARDED).await;
        // Each guess comes from a different /56 of one /48.
        guesses += tries(&app, |n| format!("2001:db8:0:{n:x}00::1"), |_| ADA.into()).await.0;
        let owner = app.browser().log_in_from(&format!("198.51.100.{n}"), ADA, PASSWORD).await;
        lost += u32::from(goes_to(&owner) != (303, "/account"));
    }
    app.database.execute(GUARDED).await;
    let fields = [("current", PASSWORD), ("new", NEW_PASSWORD)];
    let request = browser.request(reqwest::Method::POST, "/account/password").form(&fields);
    let change =
        Page::of(request.header("sec-fetch-site", "same-origin").header("x-forwarded-for", "2001:db8::1"))
            .await;

    assert_eq!((guesses, lost), (3, 0), "the whole /48 has three attempts");
    assert_eq!(goes_to(&change), (303, "/account"), "{change:#?}");
}

#[actix_web::test]
async fn only_a_browser_known_to_the_account_can_log_in_during_an_attack() {
    let app = spawn().await;
    account(&app, ADA).await;
    account(&app, "eve@example.org").await;
    let (known, eve) = (app.browser(), app.browser());
    eve.log_in("eve@example.org", PASSWORD).await;
    let failures = "select failures::bigint from accounts where email = 'ada@example.org'";
    known.log_in_from("192.0.2.1", ADA, "a guess").await;
    assert_eq!(app.database.number(failures).await, 1, "it survives a restart");
    known.log_in_from("192.0.2.1", ADA, PASSWORD).await;
    assert_eq!(app.database.number(failures).await, 0);
    known.post("/logout", &[]).await;
    app.database.execute(GUARDED).await;

    // A botnet uses up the attempts that all unknown clients share. One of its clients has the owner's address.
    let (tried, refused) = tries(&app, |n| format!("192.0.2.{}", n / 3 + 1), |_| ADA.into()).await;
    let unknown = app.browser().log_in_from("198.51.100.7", ADA, PASSWORD).await;
    let of_eve = eve.log_in_from("198.51.100.8", ADA, PASSWORD).await;
    let page = known.log_in_from("192.0.2.1", ADA, PASSWORD).await;

    assert_eq!(of_eve.status, 429, "another account's browser is not known: {of_eve:#?}");
    assert_eq!((tried, refused.status.as_u16(), unknown.status.as_u16()), (30, 429, 429));
    assert!(unknown.header("retry-after").parse::<u64>().expect("seconds") > 60, "{unknown:#?}");
    assert_eq!(goes_to(&page), (303, "/account"), "{page:#?}");
    assert_eq!(app.database.number(failures).await, 0);
}

#[actix_web::test]
async fn open_sessions_and_known_browsers_also_have_only_ten_attempts() {
    let (app, _, open) = ada().await;
    let known = app.browser();
    known.log_in(ADA, PASSWORD).await;

    let (mut guesses, mut logins) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        guesses.push(open.post("/confirm", &[("password", "a guess")]).await.status.as_u16());
        logins.push(known.log_in(ADA, PASSWORD).await.status.as_u16());
    }

    assert_eq!(guesses, [[422; 10].as_slice(), &[429]].concat());
    assert_eq!(logins, [[303; 10].as_slice(), &[429]].concat(), "logging in gives no new attempts");
}

#[actix_web::test]
async fn registrations_are_limited() {
    let app = spawn().await;
    let register = async |n| {
        let email = format!("someone{n}@example.org");
        app.browser().post("/register", &[("email", &*email), ("password", PASSWORD)]).await
    };

    // Sent concurrently, because hashing one at a time on a busy machine is too slow to reach the limit.
    let pages = join_all((0..40).map(register)).await;

    let refused = pages.iter().find(|page| page.status == 429).unwrap_or_else(|| panic!("{pages:#?}"));
    assert!(!refused.header("retry-after").is_empty(), "{refused:#?}");
}
