//! `/account`: lists and ends sessions, changes the password, downloads the stored data, and deletes the account.

use actix_session_postgres::{OwnedSession, PgSessionStore};
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse, http::header};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Member, RecentMember, Refusal, Tools, audit, error, form, layout,
    login::check,
    member::Login,
    passwords,
    table::{self, Account},
};
use crate::Error;
use crate::view::flash::{PASSWORD_CHANGED, SESSIONS_ENDED};
use crate::view::{Layout, redirect};

#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountPage {
    layout: Layout,
    email: String,
    sessions: Vec<SessionLine>,
    refusal: Option<Refusal>,
}

/// A line in "where you are logged in".
struct SessionLine {
    /// The start of the row's ID, which is a hash. It can't be used as a cookie.
    name: String,
    label: String,
    last_used: String,
    is_this: bool,
}

/// Shows the account.
pub async fn get(
    request: HttpRequest,
    Member { account, .. }: Member,
    store: Data<PgSessionStore>,
) -> Result<HttpResponse, Error> {
    show(&request, &account, &store, None).await
}

async fn show(
    request: &HttpRequest,
    account: &Account,
    store: &PgSessionStore,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Error> {
    let this = audit::session(request);
    let sessions = store.sessions_of(&account.id).await?;
    let line = |session: &OwnedSession| {
        let login = Login::in_state(&session.state);
        SessionLine {
            name: session.id.start(),
            label: login
                .map_or_else(|| "Unknown".to_owned(), |login| format!("{} · {}", login.label, login.client)),
            last_used: when(last_used(session), account.now),
            is_this: Some(session.id) == this,
        }
    };
    let sessions = sessions.iter().map(line).collect();
    let page = AccountPage { layout: layout(request), email: account.email.clone(), sessions, refusal };
    form(request, &page, &page.refusal)
}

/// Returns when a session was last used, to the minute. Close to `ends_at`, the result is too early.
fn last_used(session: &OwnedSession) -> OffsetDateTime {
    (session.expires_at - session.idle).max(session.created_at)
}

/// Formats a time for people, such as `today 14:02 UTC`.
fn when(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let text = humantime::format_rfc3339_seconds(at.into()).to_string();
    let day = if at.date() == now.date() { "today" } else { &text[..10] };
    format!("{day} {} UTC", &text[11..16])
}

/// The form that ends the session with this name. Without a name, it ends all other sessions.
#[derive(Deserialize)]
pub struct EndSessions {
    session: Option<String>,
}

/// Ends one of the account's sessions, or all except this one. The ended sessions are invalid immediately.
pub async fn end_sessions(
    request: HttpRequest,
    RecentMember(mut member): RecentMember,
    (pool, store, _): Tools,
    Form(EndSessions { session }): Form<EndSessions>,
) -> Result<HttpResponse, Error> {
    let account = &member.account;
    if let Some(name) = session {
        // Searches only the member's own sessions, so a made-up name can't end someone else's.
        let sessions = store.sessions_of(&account.id).await?;
        if let Some(found) = sessions.iter().find(|session| session.id.start() == name)
            && store.end(found.id).await?
        {
            audit::log(&request, Some(account.id), &format!("ended the session {name}"));
        }
    } else {
        let raised = table::raise_epoch(&pool, account, None).await?;
        let epoch = raised.ok_or(Error::Conflict("another change came first"))?;
        // Raising the epoch also ends a login that is still being saved.
        let ended = store.end_all_of(&account.id, audit::session(&request)).await?;
        audit::log(&request, Some(account.id), &format!("ended all {ended} other sessions"));
        member.account.epoch = epoch;
        member.renew();
    }
    Ok(redirect("/account").cookie(SESSIONS_ENDED.cookie(&request)).finish())
}

/// The form that changes the password. It doesn't implement `Debug`, so that passwords can't end up in a log.
#[derive(Deserialize)]
pub struct NewPassword {
    current: String,
    new: String,
}

/// Changes the password, gives this session a new key, and ends all other sessions.
pub async fn change_password(
    request: HttpRequest,
    RecentMember(mut member): RecentMember,
    (pool, store, accounts): Tools,
    Form(NewPassword { current, new }): Form<NewPassword>,
) -> Result<HttpResponse, Error> {
    let (account, trier) = (&member.account, member.trier());
    if let Some(problem) = passwords::problem(&new, &account.email) {
        return show(&request, account, &store, Some(Refusal::new("new", problem))).await;
    }
    let refusal = check(&request, &pool, &accounts, trier, &account.email, Some(account), &current).await?;
    if refusal.is_some() {
        return show(&request, account, &store, refusal).await;
    }
    let hash = accounts.passwords.hash(0, &new).await?;
    let changed = table::raise_epoch(&pool, account, Some(&hash)).await?;
    let epoch = changed.ok_or(Error::Conflict("another change came first"))?;
    audit::log(&request, Some(account.id), "changed the password");
    store.end_all_of(&account.id, audit::session(&request)).await?;
    member.account.epoch = epoch;
    member.renew();
    Ok(redirect("/account").cookie(PASSWORD_CHANGED.cookie(&request)).finish())
}

/// Returns all data that is stored about the member, as JSON.
pub async fn data(
    RecentMember(Member { account, .. }): RecentMember,
    store: Data<PgSessionStore>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let iso = |at: OffsetDateTime| humantime::format_rfc3339_seconds(at.into()).to_string();
    let sessions = store.sessions_of(&account.id).await?.into_iter().map(|session| {
        let login = Login::in_state(&session.state);
        json!({
            "started_at": iso(session.created_at),
            "last_used_at": iso(last_used(&session)),
            "ends_at": iso(session.ends_at),
            "is_remembered": session.remembered,
            "browser": login.as_ref().map(|login| &login.label),
            "address": login.as_ref().map(|login| login.client),
        })
    });
    let sessions: Vec<_> = sessions.collect();
    audit::log(&request, Some(account.id), "downloaded the data");
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"account.json\""))
        .json(json!({
            "account": {
                "id": account.id,
                "email": account.email,
                "created_at": iso(account.created_at),
                "wrong_passwords": account.failures,
            },
            "sessions": sessions,
        })))
}

/// The form that deletes the account. It doesn't implement `Debug`, so that passwords can't end up in a log.
#[derive(Deserialize)]
pub struct Deletion {
    password: String,
}

/// Deletes the account and ends its sessions.
pub async fn delete(
    request: HttpRequest,
    RecentMember(member): RecentMember,
    (pool, store, accounts): Tools,
    Form(Deletion { password }): Form<Deletion>,
) -> Result<HttpResponse, Error> {
    let (account, trier) = (&member.account, member.trier());
    let refusal = check(&request, &pool, &accounts, trier, &account.email, Some(account), &password).await?;
    if let Some(refusal) = refusal {
        let refusal = Refusal { field: "delete", ..refusal };
        return show(&request, account, &store, Some(refusal)).await;
    }
    table::delete(&pool, account.id).await?;
    audit::log(&request, Some(account.id), "deleted the account");
    store.end_all_of(&account.id, None).await?;
    member.end();
    Ok(redirect("/").finish())
}
