//! Tests a session's contents as a struct.

use std::collections::BTreeMap;

use actix_session_postgres::Typed;
use actix_web::HttpResponse;
use actix_web::web::{self, Path, ServiceConfig};
use serde::{Deserialize, Serialize};

use crate::site::Site;
use crate::support::{TestDatabase, log};

/// Without `#[serde(default)]`, as a user of the crate might write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    coupon: Option<String>,
    note: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    extras: BTreeMap<String, u8>,
}

pub fn routes(config: &mut ServiceConfig) {
    config.route("/cart/{action}", web::get().to(cart));
}

async fn cart(cart: Typed<Cart>, again: Typed<Cart>, action: Path<String>) -> HttpResponse {
    match action.as_str() {
        "show" => drop([cart.data(), cart.data()]),
        "nothing" => cart.update(|_| {}),
        "add" => cart.update(|cart| cart.items.push("book".into())),
        "coupon" => cart.update(|cart| cart.coupon = Some("HALF".into())),
        "no-coupon" => cart.update(|cart| cart.coupon = None),
        "extra" => cart.update(|cart| cart.extras.extend([("wrap".into(), 1)])),
        "no-extra" => cart.update(|cart| cart.extras.clear()),
        "rotate" => cart.rotate(),
        "log-in" => {
            cart.log_in(crate::site::ALICE);
            assert!(cart.is_empty());
            cart.update(|cart| cart.note = "hello".into());
        }
        "end" => cart.end(),
        other => panic!("unknown action {other}"),
    }
    let is_empty = again.is_empty();
    HttpResponse::Ok().json((again.data(), is_empty))
}

fn parse(body: &str) -> (Cart, bool) {
    serde_json::from_str(body).expect(body)
}

async fn state(database: &TestDatabase) -> String {
    sqlx::query_scalar("select state::text from sessions").fetch_one(&database.pool).await.expect("a row")
}

#[actix_web::test]
async fn fields_are_stored_individually_and_read_back() {
    let site = Site::new().await;
    assert_eq!(parse(&site.get("/cart/show", None).await.body), (Cart::default(), true));

    let cookie = site.get("/cart/add", None).await.session().expect("a cookie");
    assert_eq!(state(&site.database).await, r#"{"items":["book"]}"#);
    for path in ["/cart/coupon", "/cart/extra"] {
        site.get(path, Some(&cookie)).await;
    }
    assert_eq!(state(&site.database).await, r#"{"coupon":"HALF","extras":{"wrap":1},"items":["book"]}"#);
    for path in ["/cart/no-coupon", "/cart/no-extra"] {
        site.get(path, Some(&cookie)).await;
    }
    assert_eq!(state(&site.database).await, r#"{"items":["book"]}"#);

    let (cart, is_empty) = parse(&site.get("/cart/show", Some(&cookie)).await.body);
    assert_eq!(cart, Cart { items: vec!["book".into()], ..Cart::default() });
    assert!(!is_empty);
}

#[actix_web::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let site = Site::new().await;
    assert_eq!(site.get("/cart/nothing", None).await.session(), None);
    let cookie = site.get("/cart/add", None).await.session().expect("a cookie");
    let version = "select xmin::text::bigint from sessions";
    let before = site.database.number(version).await;

    site.get("/cart/nothing", Some(&cookie)).await;

    assert_eq!(site.database.number(version).await, before);
}

#[actix_web::test]
async fn unreadable_and_unknown_values_are_ignored_but_kept_and_other_values_are_read() {
    let site = Site::new().await;
    let cookie = site.get("/cart/add", None).await.session().expect("a cookie");
    let older =
        r#"update sessions set state = '{"coupon":{"a secret":1},"items":["book"],"older":[1.50],"note":7}'"#;
    site.database.execute(older).await;
    let before = log::lines_with("\\\"coupon\\\"").len();

    let shown = site.get("/cart/show", Some(&cookie)).await;
    let lines = log::lines_with("\\\"coupon\\\"");
    site.get("/cart/add", Some(&cookie)).await;

    assert_eq!(parse(&shown.body).0, Cart { items: vec!["book".into()], ..Cart::default() });
    assert!(lines.len() > before, "{lines:#?}");
    assert!(lines[0].contains("note") && !lines[0].contains("a secret"), "{lines:#?}");
    let kept = r#"{"coupon":{"a secret":1},"items":["book","book"],"note":7,"older":[1.50]}"#;
    assert_eq!(state(&site.database).await, kept);
}

#[actix_web::test]
async fn a_typed_session_can_rotate_log_in_and_end() {
    let site = Site::new().await;
    let first = site.get("/cart/add", None).await.session().expect("a cookie");

    let rotated = site.get("/cart/rotate", Some(&first)).await.session().expect("a new key");
    let login = site.get("/cart/log-in", Some(&rotated)).await;
    let login_cookie = login.session().expect("a new key");

    assert_eq!(parse(&login.body).0, Cart { note: "hello".into(), ..Cart::default() });
    assert_eq!(state(&site.database).await, r#"{"note":"hello"}"#);
    site.get("/cart/end", Some(&login_cookie)).await;
    assert_eq!(site.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_typed_session_reads_values_set_with_insert() {
    let site = Site::new().await;
    let cookie = site.start().await;

    let shown = site.get("/cart/show", Some(&cookie)).await;

    assert_eq!(parse(&shown.body).0.note, "written");
}
