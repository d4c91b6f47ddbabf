//! Which addresses and passwords are accepted.

use std::{cell::RefCell, time::Duration};

use actix_web::ResponseError;
use app::accounts::passwords::{self, Passwords};
use app::accounts::table;
use futures_util::future::{FutureExt, join_all};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use crate::{ADA, account, spawn, support::probe::PATIENCE};

#[test]
fn an_address_is_in_lowercase_and_has_one_at_sign_and_no_space_or_invisible_character() {
    assert_eq!(table::email(" Ada.O'Neil+x@Example.ORG ").as_deref(), Some("ada.o'neil+x@example.org"));
    assert_eq!(table::email("jürgen@müller.example").as_deref(), Some("jürgen@müller.example"));
    let long = format!("{}@example.org", "a".repeat(250));
    for address in [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "ada,eve@example.org",
        "ada @example.org",
        "ada\u{200b}@example.org",
        "\u{212a}ate@example.org",
        "ada\0@example.org",
        "ada\n@example.org",
        "ada\u{202e}@example.org",
        "<ada@example.org>",
        "ada;eve@example.org",
        &long,
    ] {
        assert_eq!(table::email(address), None, "{address:?}");
    }
}

#[test]
fn common_blank_short_long_and_personal_passwords_are_rejected_and_all_others_accepted() {
    let long = "long ".repeat(201);
    for password in [
        "1234567",
        &"e\u{301}".repeat(7),
        "password",
        "PassWord",
        "12345678",
        "        ",
        "\u{a0}\u{2003}      ",
        &long,
        "ada-lovelace",
        "AdaLovelace1815",
        "actix-postgres-sessions",
        "Actix Postgres Sessions 1",
    ] {
        assert!(passwords::problem(password, "ada.lovelace@example.org").is_some(), "{password:?}");
    }
    assert!(passwords::problem(ADA, ADA).is_some());
    // Each letter with an accent counts once, however it is typed.
    let longest = format!("{}{}", "é".repeat(500), "e\u{301}".repeat(500));
    for password in
        ["correct horse", "aaaabbbb", "пароль-из-слов", "🐎🔋🐎🔋🐎🔋🐎🔋", " led by a space", &longest]
    {
        assert_eq!(passwords::problem(password, ADA), None, "{password:?}");
    }
}

#[actix_web::test]
async fn the_whole_password_counts_regardless_of_how_its_characters_are_typed() {
    let passwords = Passwords::default();

    let hash = passwords.hash(1, "se\u{301}same ouvre-toi").await.expect("a hash");

    assert!(passwords.verify(1, "s\u{e9}same ouvre-toi", Some(&hash)).await.expect("an answer"));
    assert!(!passwords.verify(1, "sesame ouvre-toi", Some(&hash)).await.expect("an answer"));
    assert!(!passwords.verify(1, "s\u{e9}same ouvre-toi", None).await.expect("an answer"));
    let (one, other) = (format!("{}x", "a".repeat(999)), format!("{}y", "a".repeat(999)));
    let hash = passwords.hash(1, &one).await.expect("a hash");

    assert!(passwords.verify(1, &one, Some(&hash)).await.expect("an answer"));
    assert!(!passwords.verify(1, &other, Some(&hash)).await.expect("an answer"));
    assert!(!passwords.verify(1, &format!("{one}x"), Some(&hash)).await.expect("an answer"));
}

#[actix_web::test]
async fn the_wait_for_a_hash_and_the_number_of_waiting_requests_are_limited() {
    let soon = Duration::from_millis(1);
    for passwords in [Passwords::new(0, 64, soon), Passwords::new(0, 0, Duration::MAX)] {
        let hash = tokio::time::timeout(PATIENCE, passwords.hash(1, "correct horse")).await;
        let error = hash.expect("it doesn't wait").expect_err("no slot is free");

        let response = error.error_response();
        assert_eq!(response.status(), 503, "{error}");
        assert!(response.headers().contains_key("retry-after"), "{error}");
    }
}

#[actix_web::test]
async fn known_browsers_and_new_networks_can_log_in_while_guesses_fill_the_queue() {
    let passwords = Passwords::new(1, 8, Duration::MAX);
    let order = RefCell::new(Vec::new());
    let log_in = async |rank| {
        if passwords.verify(rank, "a guess", None).await.is_ok() {
            order.borrow_mut().push(rank);
        }
    };

    // One guess is being hashed, and eight are waiting. The others are refused.
    let attack = [4; 200].map(log_in);
    join_all(attack.into_iter().chain([1, 0].map(log_in))).await;

    let order = order.into_inner();
    assert_eq!(order.len(), 9 + 2, "{order:?}");
    // A few guesses had their turn before the other logins arrived.
    assert_eq!((&order[..3], order.iter().position(|rank| *rank == 1) <= Some(6)), (&[4, 4, 0][..], true));
}

#[actix_web::test]
async fn half_of_the_queue_is_open_to_everyone_and_the_rest_is_assigned_at_random() {
    let passwords = Passwords::new(0, 64, Duration::MAX);
    let mut requests: Vec<_> = (0..64).map(|_| Box::pin(passwords.verify(1, "a guess", None))).collect();

    let refused = requests.iter_mut().filter_map(FutureExt::now_or_never).count();

    assert!((1..=32).contains(&refused), "{refused}");
}

#[test]
fn hashing_uses_half_of_the_cores_but_at_most_eight() {
    let slots = [1, 2, 4, 15, 16, 27, 128].map(passwords::slots);

    assert_eq!(slots, [1, 1, 2, 7, 8, 8, 8]);
}

#[actix_web::test]
async fn the_form_shows_each_error_next_to_its_field() {
    let app = spawn().await;
    account(&app, ADA).await;
    let browser = app.browser();

    let address = browser.post("/register", &[("email", "ada@@x"), ("password", "password")]).await;
    let password = browser.post("/register", &[("email", "eve@example.org"), ("password", "short")]).await;

    assert_eq!((address.status.as_u16(), password.status.as_u16()), (422, 422));
    assert!(address.element("email-error").contains("Enter an email address"), "{address:#?}");
    assert!(password.element("password-error").contains("at least 8"), "{password:#?}");
    assert!(
        password.try_element("email-error").is_none() && password.body.contains(r#"value="eve@example.org""#)
    );
    for page in [&address, &password] {
        assert_eq!(page.body.matches(" autofocus").count(), 1, "{page:#?}");
    }
    assert!(password.body.contains(r#"aria-invalid="true" aria-describedby="password-error password-rule""#));
    assert!(!password.body.contains("short"), "the password is not shown again");
    assert_eq!(browser.log_in("eve@example.org", "short").await.status, 422);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn only_the_length_counts_however_a_password_is_typed_and_the_address_is_never_one(
        password in "\\PC{0,20}", name in "[a-z]{8,12}", mark in "[-._ !]", digits in "[0-9]{0,4}",
    ) {
        let problem = |password: &str| passwords::problem(password, &format!("{name}@example.org"));
        let (composed, decomposed): (String, String) = (password.nfc().collect(), password.nfd().collect());

        prop_assert_eq!(problem(&composed), problem(&decomposed));
        let is_too_short = problem(&password).is_some_and(|problem| problem.contains("at least 8"));
        prop_assert_eq!(is_too_short, composed.chars().count() < 8);
        let personal = format!("{mark}{}{mark}{digits}", name.to_uppercase());
        prop_assert!(problem(&personal).is_some(), "{}", personal);
    }
}
