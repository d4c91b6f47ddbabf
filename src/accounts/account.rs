//! `/account`: lists and ends sessions, changes the password, downloads the stored data, and deletes the account.

use actix_session_postgres::{OwnedSession, PgSession};
use actix_web::{HttpResponse, http::header, web::Form};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::table::{self, Account};
use super::{Member, RecentMember, Refusal, Tools, audit, error, form, layout, passwords};
use super::{confirm::Password, login::check, member::Login};
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

struct SessionLine {
    /// The start of the row's ID, which is a hash, not the key in the cookie.
    name: String,
    label: String,
    last_used: String,
    is_this: bool,
}

pub async fn get(member: Member) -> Result<HttpResponse, Error> {
    show(&member.tools, &member.account, None).await
}

async fn show(tools: &Tools, account: &Account, refusal: Option<Refusal>) -> Result<HttpResponse, Error> {
    let (request, _, store, _) = tools;
    let this = audit::session(request);
    let line = |session: &OwnedSession| {
        let login = Login::of(&session.state);
        SessionLine {
            name: session.id.start(),
            label: login.map_or("Unknown".into(), |login| format!("{} · {}", login.label, login.client)),
            last_used: when(last_used(session), account.now),
            is_this: Some(session.id) == this,
        }
    };
    let sessions = store.sessions_of(&account.id).await?.iter().map(line).collect();
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

#[derive(Deserialize)]
pub struct EndSessions {
    session: Option<String>,
}

/// Ends the session with this name, or all except this one. The ended sessions are invalid immediately.
pub async fn end_sessions(mut member: RecentMember, form: Form<EndSessions>) -> Result<HttpResponse, Error> {
    let (request, pool, store, _) = &member.tools;
    let id = member.account.id;
    if let Some(name) = &form.session {
        // Searches only the member's own sessions, so a made-up name can't end someone else's.
        let sessions = store.sessions_of(&id).await?;
        if let Some(found) = sessions.iter().find(|session| session.id.start() == *name)
            && store.end(found.id).await?
        {
            audit::log(request, Some(id), &format!("ended the session {name}"));
        }
    } else {
        // This also ends a login that is still being saved.
        table::raise_epoch(pool, &mut member.account, None).await?;
        let ended = store.end_all_of(&id, audit::session(request)).await?;
        audit::log(request, Some(id), &format!("ended all {ended} other sessions"));
        member.renew();
    }
    Ok(redirect("/account").cookie(SESSIONS_ENDED.cookie(request)).finish())
}

#[derive(Deserialize)]
pub struct Change {
    current: String,
    new: String,
}

/// Changes the password, gives this session a new key, and ends all other sessions.
pub async fn change_password(mut member: RecentMember, form: Form<Change>) -> Result<HttpResponse, Error> {
    let (account, known) = (&member.account, Some(member.login.attempts));
    let (request, pool, store, accounts) = &member.tools;
    if let Some(problem) = passwords::problem(&form.new, &account.email) {
        return show(&member.tools, account, Some(Refusal::new("new", problem))).await;
    }
    let refusal = check(&member.tools, known, &account.email, Some(account), &form.current).await?;
    if refusal.is_some() {
        return show(&member.tools, account, refusal).await;
    }
    let hash = accounts.passwords.hash(0, &form.new).await?;
    table::raise_epoch(pool, &mut member.account, Some(&hash)).await?;
    audit::log(request, Some(member.account.id), "changed the password");
    store.end_all_of(&member.account.id, audit::session(request)).await?;
    member.renew();
    Ok(redirect("/account").cookie(PASSWORD_CHANGED.cookie(request)).finish())
}

/// Returns all data that is stored about the member, as JSON.
pub async fn data(member: RecentMember) -> Result<HttpResponse, Error> {
    let (account, (request, _, store, _)) = (&member.account, &member.tools);
    let iso = |at: OffsetDateTime| humantime::format_rfc3339_seconds(at.into()).to_string();
    let sessions = store.sessions_of(&account.id).await?.into_iter().map(|session| {
        let login = Login::of(&session.state);
        json!({
            "started_at": iso(session.created_at),
            "last_used_at": iso(last_used(&session)),
            "ends_at": iso(session.ends_at),
            "is_remembered": session.remembered,
            "browser": login.as_ref().map(|login| &login.label),
            "address": login.as_ref().map(|login| login.client),
        })
    });
    audit::log(request, Some(account.id), "downloaded the data");
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"account.json\""))
        .json(json!({
            "account": {
                "id": account.id,
                "email": account.email,
                "created_at": iso(account.created_at),
                "wrong_passwords": account.failures,
            },
            "sessions": sessions.collect::<Vec<_>>(),
        })))
}

pub async fn delete(member: RecentMember, form: Form<Password>) -> Result<HttpResponse, Error> {
    let (account, known) = (&member.account, Some(member.login.attempts));
    let (request, pool, store, _) = &member.tools;
    let refusal = check(&member.tools, known, &account.email, Some(account), &form.password).await?;
    if let Some(refusal) = refusal {
        return show(&member.tools, account, Some(Refusal { field: "delete", ..refusal })).await;
    }
    table::delete(pool, account.id).await?;
    audit::log(request, Some(account.id), "deleted the account");
    store.end_all_of(&account.id, None).await?;
    member.session.end();
    Ok(redirect("/").finish())
}
