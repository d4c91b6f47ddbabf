//! The log of logins, logouts, wrong passwords and changes. Each line names the account, the client and the first
//! digits of the session's id, and never contains what somebody typed.

use actix_session::{SessionExt, SessionStatus};
use actix_session_postgres::SessionId;
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use uuid::Uuid;

use super::member::Login;
use crate::{
    http::{client::ClientAddress, session_cookie::PresentedCookie},
    session::SessionCookie,
};

/// Logs something that has happened, with the session that the browser sent.
pub fn log(request: &HttpRequest, account: Option<Uuid>, what: &str) {
    // If this also ends the session, don't log a logout as well.
    request.extensions_mut().remove::<Sender>();
    write(request, account, PresentedCookie::of(request).and_then(|cookie| cookie.session_id()), what);
}

/// Logs `what` with the new session of this request, once it is saved.
pub fn log_when_saved(request: &HttpRequest, account: Uuid, what: &'static str) {
    request.extensions_mut().insert(Pending(account, what));
}

struct Pending(Uuid, &'static str);

/// The member that sent a request, even if the request logs out.
struct Sender(Uuid);

fn write(request: &HttpRequest, account: Option<Uuid>, session: Option<SessionId>, what: &str) {
    let account = account.map(tracing::field::display);
    let client = ClientAddress::of(request).0;
    tracing::info!(target: "accounts", account, %client, session = session.map(|id| id.start()), "{what}");
}

/// Records which member sends a request, before the handler can end the session. Belongs inside the session's layer.
pub async fn note_member(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(login) = Login::of(&request.get_session()) {
        request.extensions_mut().insert(Sender(login.account_id));
    }
    next.call(request).await
}

/// Logs logins and logouts. Belongs outside the session's layer, so that it only sees those that took effect.
pub async fn log_sessions(
    cookie: Data<SessionCookie>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    let request = response.request();
    let pending = request.extensions_mut().remove::<Pending>();
    if let Some(Pending(account, what)) = pending {
        let set = response.response().cookies().find(|set| set.name() == cookie.name);
        let key = set.and_then(|set| cookie.key_in(set.value()));
        write(request, Some(account), key.and_then(|key| SessionId::of(&key)), what);
    } else if request.get_session().status() == SessionStatus::Purged {
        let sender = request.extensions_mut().remove::<Sender>();
        if let Some(Sender(account)) = sender {
            log(request, Some(account), "logged out");
        }
    }
    Ok(response)
}
