//! One who visits, and what they expect to be shown.

use std::{rc::Rc, time::Instant};

use super::{Answer, Ask, Connection, Scenario, page, tally::Tally};

/// Someone with a cookie.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// As `name=value`.
    cookie: Vec<u8>,
    /// What they were shown last; `None` after an error, when nobody knows whether the visit was counted.
    visits: Option<u64>,
}

/// Comes for as long as the measurement lasts, with each of these visitors in turn; gives them back at the end.
pub(super) async fn keep_coming(
    mut connection: Connection,
    mut visitors: Vec<Visitor>,
    ask: Ask,
    tally: Rc<Tally>,
) -> Vec<Visitor> {
    let mut turn = 0;
    loop {
        let asked = Instant::now();
        if tally.is_over(asked) {
            return visitors;
        }
        let outcome = match ask {
            Ask::Path(path) => connection.get(path, b"").await.map(|answer| has_status(&answer)),
            Ask::Visits(Scenario::New) => visit(&mut connection, &mut Visitor::default()).await,
            Ask::Visits(Scenario::Returning) => {
                turn = (turn + 1) % visitors.len();
                visit(&mut connection, &mut visitors[turn]).await
            }
        };
        match outcome {
            Ok(Ok(())) => tally.answer(asked, Instant::now()),
            Ok(Err(what)) => tally.error(what),
            Err(_) => {
                tally.error("connection lost");
                if connection.reopen().await.is_err() {
                    return visitors;
                }
            }
        }
    }
}

/// The visits of as many newcomers as are wanted, one after the other, who keep their cookies.
pub async fn newcomers(mut connection: Connection, count: usize) -> anyhow::Result<Vec<Visitor>> {
    let mut visitors = Vec::with_capacity(count);
    for _ in 0..count {
        let mut visitor = Visitor::default();
        visit(&mut connection, &mut visitor).await?.map_err(anyhow::Error::msg)?;
        visitors.push(visitor);
    }
    Ok(visitors)
}

/// One visit, and what was wrong with its answer.
async fn visit(
    connection: &mut Connection,
    visitor: &mut Visitor,
) -> std::io::Result<Result<(), &'static str>> {
    let known = visitor.visits.take();
    let answer = connection.get("/", &visitor.cookie).await?;
    if has_status(&answer).is_err() {
        return Ok(Err("not status 200"));
    }
    let Some(shown) = page::visits(connection.body(&answer)) else {
        return Ok(Err("no count in the page"));
    };
    let is_new = visitor.cookie.is_empty();
    visitor.visits = Some(shown);
    match answer.cookie {
        Some(cookie) if is_new || is_of_same_name(&cookie, &visitor.cookie) => visitor.cookie = cookie,
        None if is_new => return Ok(Err("no cookie for a new visitor")),
        _ => {}
    }
    let right = match known {
        _ if is_new => shown == 1,
        Some(before) => shown == before + 1,
        None => shown > 1,
    };
    Ok(if right { Ok(()) } else { Err("a wrong count") })
}

fn is_of_same_name(one: &[u8], other: &[u8]) -> bool {
    let name = |cookie: &[u8]| cookie.iter().position(|&byte| byte == b'=');
    name(one).is_some_and(|length| other.get(..=length) == Some(&one[..=length]))
}

fn has_status(answer: &Answer) -> Result<(), &'static str> {
    if answer.status == 200 { Ok(()) } else { Err("not status 200") }
}
