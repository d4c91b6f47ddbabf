//! A visitor, and the checks of the pages that it receives.

use std::ops::Range;

use memchr::memmem;
use tokio::time::Instant;

use super::{Connection, Scenario, Tally, connection::Response};

/// A client. It has no cookie before its first visit.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The cookie as `name=value`.
    cookie: String,
    /// The user ID that the page shows, if it shows one.
    user: String,
    /// The last count. Unknown after an error, because that visit may have been counted.
    visits: Option<u64>,
}

/// Sends one visit after another until the window ends, from each visitor in turn. Returns the results and
/// the visitors.
pub(super) async fn keep_coming(
    mut connection: Connection,
    mut visitors: Vec<Visitor>,
    scenario: Scenario,
    window: Range<Instant>,
) -> (Tally, Vec<Visitor>) {
    let mut tally = Tally::default();
    for turn in 0.. {
        let asked = Instant::now();
        if asked >= window.end {
            break;
        }
        let turn = turn % visitors.len();
        let outcome = match scenario {
            Scenario::New => Visitor::default().visit(&mut connection).await,
            Scenario::Returning | Scenario::Rare => visitors[turn].visit(&mut connection).await,
        };
        let answered = Instant::now();
        if let Err(what) = outcome {
            *tally.errors.entry(what.to_owned()).or_default() += 1;
            connection.reopen().await;
            continue;
        }
        tally.visits += 1;
        if window.contains(&answered) {
            tally.times.push((answered - asked).as_micros() as u32);
        }
    }
    (tally, visitors)
}

impl Visitor {
    /// Visits the page once. Returns an error that says what is wrong with the response.
    pub(super) async fn visit(&mut self, connection: &mut Connection) -> Result<(), &'static str> {
        let known = self.visits.take();
        let response = connection.get("/", &self.cookie).await?;
        self.check(known, response)
    }

    fn check(&mut self, known: Option<u64>, response: Response<'_>) -> Result<(), &'static str> {
        if response.status != 200 {
            return Err("a status other than 200");
        }
        let visits = text(response.body, "id=\"visits\">").and_then(|text| text.parse().ok());
        let visits = visits.ok_or("no count in the page")?;
        let user = text(response.body, "id=\"visitor\">");
        // Older builds and the other contenders use a different `id`.
        let user = user.or_else(|| text(response.body, "id=\"user\">")).unwrap_or_default();
        let is_new = self.cookie.is_empty();
        if let Some(cookie) = response.cookie {
            self.cookie = cookie;
        } else if is_new {
            return Err("no cookie for a new visitor");
        }
        if is_new {
            user.clone_into(&mut self.user);
        } else if user != self.user {
            return Err("another user's page");
        }
        self.visits = Some(visits);
        match known {
            _ if is_new => visits == 1,
            Some(known) => visits == known + 1,
            None => visits > 1,
        }
        .then_some(())
        .ok_or("a wrong count")
    }
}

/// Returns the text of the element whose start tag ends with this mark.
fn text<'a>(page: &'a [u8], mark: &str) -> Option<&'a str> {
    let text = &page[memmem::find(page, mark.as_bytes())? + mark.len()..];
    str::from_utf8(&text[..memchr::memchr(b'<', text)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(visitor: &mut Visitor, user: &str, visits: &str) -> Result<(), &'static str> {
        let known = visitor.visits.take();
        let page = format!("<code id=\"visitor\">{user}</code> <b id=\"visits\">{visits}</b>");
        visitor.check(known, Response { status: 200, cookie: Some("id=k3y".into()), body: page.as_bytes() })
    }

    #[test]
    fn a_page_must_show_the_same_visitor_and_the_next_count() {
        assert_eq!(check(&mut Visitor::default(), "a", "2"), Err("a wrong count"));

        let mut visitor = Visitor::default();
        assert_eq!(check(&mut visitor, "a", "1"), Ok(()));
        assert_eq!(check(&mut visitor, "a", "2"), Ok(()));
        assert_eq!(check(&mut visitor, "a", "2"), Err("a wrong count"));
        assert_eq!(check(&mut visitor, "b", "3"), Err("another user's page"));
        assert_eq!(check(&mut visitor, "a", ""), Err("no count in the page"));
    }
}
