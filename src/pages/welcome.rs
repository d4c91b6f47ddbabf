//! `GET /`: the welcome page. It starts a session for a new visitor and counts a visit.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use askama::Template;
use uuid::Uuid;

use super::visits::{milliseconds, short};
use crate::fetch_metadata::{is_for_document, is_prefetch};
use crate::session::{Session, since_lookup};
use crate::view::{Layout, page};
use crate::{Error, http::request_log::log_after_success};
use crate::{session_limit::SessionLimit, visitors::VisitCounter};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    layout: Layout,
    visitor: Option<Visitor>,
}

struct Visitor {
    id: Uuid,
    visits: i64,
    /// How long it took to find the session, and to count the visit. `None` if the session is new.
    times: Option<[Duration; 2]>,
}

/// Counts one visit, except for HEAD, and shows the count. Returns 400 for a prefetch: the browser would show that
/// page later, when its count is out of date. After an error, it sends a new request instead.
pub async fn get(
    request: HttpRequest,
    session: Session,
    counter: Data<VisitCounter>,
    limit: Data<SessionLimit>,
) -> Result<HttpResponse, Error> {
    if is_prefetch(&request) {
        return Err(Error::BadRequest("a prefetch of a page that counts"));
    }
    let visitor = match session.data().visitor_id {
        _ if request.method() == Method::HEAD => None,
        Some(id) => {
            let (found_in, begin) = (since_lookup(&request), Instant::now());
            let visits = counter.count(id).await?;
            Some(Visitor { id, visits, times: Some([found_in, begin.elapsed()]) })
        }
        None if session.is_empty() && is_for_document(&request) => {
            limit.check(&request)?;
            let id = Uuid::now_v7();
            // The session's row, which is saved before the response is sent, records the first visit.
            session.update(|data| data.visitor_id = Some(id));
            Some(Visitor { id, visits: 1, times: None })
        }
        // Visits aren't counted if the session has other contents, such as a login, but no visitor. Also, an
        // image on another site's page must not start a session.
        None => None,
    };
    if let Some(Visitor { id, visits, .. }) = visitor {
        log_after_success(&request, move |_| {
            tracing::info!(visitor_id = %id, visits, "User {id} has visited the page {visits} times");
        });
    }
    page(&request, &Welcome { layout: Layout::new(&request, !session.is_empty()), visitor })
}
