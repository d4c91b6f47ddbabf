//! `/register` and `/login`.

use actix_web::{HttpResponse, web};
use app::Pages;

use crate::support::{Browser, Page, TestApp, TestDatabase};
use crate::{ADA, OWNED, PASSWORD, account, ada, goes_to, spawn};

async fn register(browser: &Browser, email: &str, password: &str) -> Page {
    browser.post("/register", &[("email", email), ("password", password)]).await
}

#[actix_web::test]
async fn registering_logs_in_and_each_address_has_one_account_regardless_of_its_spelling() {
    let app = spawn().await;
    let browser = app.browser();

    let page = register(&browser, " Ada@Example.org ", PASSWORD).await;
    let again = register(&app.browser(), "ADA@example.org", PASSWORD).await;

    assert_eq!(goes_to(&page), (303, "/account"), "{page:#?}");
    let device = page.set_cookies().into_iter().find(|set| set.starts_with("device=")).expect("a cookie");
    assert!(device.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=15552000"), "{device}");
    assert_eq!(browser.get("/account").await.element("email"), ADA);
    assert_eq!(goes_to(&app.browser().log_in(ADA, PASSWORD).await), (303, "/account"));
    assert_eq!(again.status, 422, "{again:#?}");
    assert_eq!(again.element("email-error"), "This address already has an account.");
    assert_eq!(app.database.number("select count(*) from accounts").await, 1);
}

#[actix_web::test]
async fn an_unknown_address_and_a_wrong_password_return_the_same_page_after_the_same_number_of_updates() {
    let (app, ..) = ada().await;
    app.database
        .execute(
            "create table updates ();
            create function note() returns trigger language plpgsql as
                'begin insert into updates default values; return null; end';
            create trigger note after update on accounts for each statement execute function note()",
        )
        .await;
    let updates = "select count(*) from updates";

    // A login updates the account only if wrong passwords preceded it.
    app.browser().log_in(ADA, PASSWORD).await;
    let wrong = app.browser().log_in(ADA, "a guess").await;
    let once = app.database.number(updates).await;
    let unknown = app.browser().log_in("eve@example.org", "a guess").await;

    assert_eq!((once, app.database.number(updates).await), (1, 2));
    assert_eq!((unknown.status.as_u16(), wrong.status.as_u16()), (422, 422));
    assert_eq!(unknown.body.replace("eve@example.org", ADA), wrong.body);
    assert!(wrong.element("error").contains("or the password is wrong"), "{wrong:#?}");
    for part in [r#"value="ada@example.org""#, r#"aria-describedby="error""#, "autofocus"] {
        assert!(wrong.body.contains(part), "{part}: {wrong:#?}");
    }
}

#[actix_web::test]
async fn a_failing_database_causes_an_error_page_instead_of_a_second_login() {
    let (app, _, browser) = ada().await;
    app.database.execute("alter table accounts rename to away").await;

    for path in ["/login", "/register"] {
        assert_eq!(goes_to(&browser.get(path).await), (303, "/account"), "{path}");
    }
    assert_eq!(browser.get("/account").await.status, 500);
    assert_eq!(app.browser().get("/login").await.status, 200, "without a session, the form needs no account");
}

#[actix_web::test]
async fn a_login_gives_the_session_a_new_key_and_drops_its_contents() {
    let app = spawn().await;
    account(&app, ADA).await;
    let browser = app.browser();
    let planted = browser.get("/probe/start").await.cookie("id").expect("a cookie");

    browser.log_in(ADA, PASSWORD).await;

    assert!(browser.is_member().await);
    assert_eq!(app.get_with("/account", &planted).await.status, 303);
    let kept = "select count(*) from sessions where state->>'probe' is not null";
    assert_eq!((app.database.number(OWNED).await, app.database.number(kept).await), (1, 0));
}

#[actix_web::test]
async fn after_a_login_the_browser_continues_only_to_a_page_on_this_site() {
    let (_app, _, browser) = ada().await;
    let next = async |next: &str| {
        let url = reqwest::Url::parse_with_params("http://x/login", [("next", next)]).expect("a URL");
        browser.get(&format!("/login?{}", url.query().expect("a query"))).await
    };

    for page in ["/", "/probe", "/account", "/probe?a=b%2Fc#d", "/?x=/logout"] {
        assert_eq!(goes_to(&next(page).await), (303, page));
    }
    for elsewhere in [
        "",
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        r"/\evil.example",
        r"\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "account",
        "/é",
        "/a\r\nset-cookie: id=planted",
    ] {
        assert_eq!(goes_to(&next(elsewhere).await), (303, "/account"), "{elsewhere:?}");
    }
    let pages = ["/logout", "/logout?x", "/logout/", "/%6Cogout", "/probe/../logout", "/login"];
    for elsewhere in pages.into_iter().chain(["/nothing", "/health/live", "/static/app.css"]) {
        assert_eq!(goes_to(&next(elsewhere).await), (303, "/account"), "{elsewhere:?}");
    }
}

#[actix_web::test]
async fn a_catch_all_route_allows_no_redirect_to_another_site() {
    let everything = |config: &mut web::ServiceConfig, _: &Pages| {
        config.route("/{tail:.*}", web::get().to(HttpResponse::Ok));
    };
    let app = TestApp::with_routes(TestDatabase::new().await, &[], everything).await;
    account(&app, ADA).await;

    for next in
        ["//evil.example", r"/\evil.example", "/\t/evil.example", "/a?\r\nset-cookie: id=planted", "/logout"]
    {
        let fields = [("email", ADA), ("password", PASSWORD), ("next", next)];
        assert_eq!(goes_to(&app.browser().post("/login", &fields).await), (303, "/account"), "{next:?}");
    }
}

#[actix_web::test]
async fn after_logging_in_a_visitor_returns_to_the_page_that_required_it() {
    let app = spawn().await;
    account(&app, ADA).await;
    let browser = app.browser();

    let refused = browser.get("/account?done=x&q=a%2Fb").await;
    let form = browser.get(refused.header("location")).await;

    assert_eq!(goes_to(&refused), (303, "/login?next=/account%3Fdone%3Dx%26q%3Da%252Fb"));
    assert!(form.body.contains(r#"name="next" value="/account?done=x&#38;q=a%2Fb""#), "{form:#?}");
    let fields = [("email", ADA), ("password", PASSWORD), ("next", "/account?done=x&q=a%2Fb")];
    assert_eq!(goes_to(&browser.post("/login", &fields).await), (303, "/account?done=x&q=a%2Fb"));
}

#[actix_web::test]
async fn an_account_has_at_most_100_live_sessions_and_a_new_one_ends_the_oldest() {
    let (app, _, first) = ada().await;
    app.database.execute("update sessions set created_at = now() - interval '1 minute'").await;
    app.database
        .execute(
            "insert into sessions (id, state, owner, expires_at, idle_seconds, ends_at)
            select sha256(n::text::bytea), '{}', owner, expires_at, idle_seconds, ends_at
            from sessions, generate_series(1, 99) as n",
        )
        .await;

    app.browser().log_in(ADA, PASSWORD).await;

    assert_eq!(app.database.number(OWNED).await, 100);
    assert!(!first.is_member().await);
}

#[actix_web::test]
async fn logging_in_replaces_a_hash_with_outdated_parameters() {
    let (app, ..) = ada().await;
    let weaken = sqlx::query("update accounts set password_hash = $1").bind(weak_hash());
    weaken.execute(&app.database.pool).await.expect("set");

    let page = app.browser().log_in(ADA, PASSWORD).await;

    assert_eq!(page.status, 303, "{page:#?}");
    let hash = async || {
        let hash = sqlx::query_scalar("select password_hash from accounts where epoch = 0");
        hash.fetch_one(&app.database.pool).await.expect("no change of epoch")
    };
    let renewed: String = hash().await;
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    assert_eq!(app.browser().log_in(ADA, PASSWORD).await.status, 303);
    assert_eq!(hash().await, renewed, "a current hash stays");
}

fn weak_hash() -> String {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    let params = Params::new(8, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(PASSWORD.as_bytes()).expect("a hash").to_string()
}
