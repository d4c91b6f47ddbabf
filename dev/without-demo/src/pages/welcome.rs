//! `GET /`: the welcome page.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::view::{Layout, page};
use crate::{Error, session::Session};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    layout: Layout,
}

/// Shows the page. It starts no session.
pub async fn get(request: HttpRequest, session: Session) -> Result<HttpResponse, Error> {
    page(&request, &Welcome { layout: Layout::new(&request, !session.is_empty()) })
}
