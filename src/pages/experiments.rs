//! `/experiments`: a session under load, after a rotation and after its end. Requires `EXPERIMENTS`.

use std::collections::HashMap;

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::{PgSessionStore, SessionId};
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpRequest, HttpResponse, cookie::time::Duration};
use anyhow::Context;
use askama::Template;
use futures_util::future::{join_all, try_join_all};
use sqlx::PgPool;
use sqlx_batcher::acquire;
use uuid::Uuid;

use crate::session::{Session, ValidCookie, cookie_name, key_in};
use crate::view::{Layout, page};
use crate::{Config, Error, session_limit::SessionLimit, visitors::VisitCounter};

/// Number of visits that are counted at the same time.
const VISITS: usize = 20;

#[derive(Template)]
#[template(path = "experiments.html")]
struct Experiments {
    layout: Layout,
    outcome: Option<Outcome>,
}

enum Outcome {
    Counted { sql: i64, naive: i64 },
    Rotated { header: String, address: String, old: String },
    Replayed { is_valid: bool },
    Expired,
}

type Tools = (Data<Config>, Data<PgSessionStore>, Data<VisitCounter>, Data<PgPool>, Data<SessionLimit>);

/// Shows the experiments.
pub async fn get(request: HttpRequest, session: Session) -> Result<HttpResponse, Error> {
    page(&request, &Experiments { layout: Layout::new(&request, !session.is_empty()), outcome: None })
}

/// Waits until no other experiment is running, runs this one, and shows its result.
pub async fn post(
    request: HttpRequest,
    session: Session,
    name: Path<String>,
    fields: Form<HashMap<String, String>>,
    (config, store, counter, pool, limit): Tools,
) -> Result<HttpResponse, Error> {
    let (false, Some(presented)) = (session.is_empty(), ValidCookie::of(&request)) else {
        return get(request, session).await;
    };
    let _alone = limit.experiment(&request).await?;
    let outcome = match name.as_str() {
        "count" => {
            // A made-up visitor. The first call also counts a first visit, which has no row.
            let nobody = Uuid::now_v7();
            let counts = try_join_all((0..VISITS).map(|_| counter.count(nobody))).await?;
            let sql = counts.into_iter().max().unwrap_or_default() - 1;
            let delete = sqlx::query!("delete from visitors where id = $1", nobody);
            delete.execute(&mut *acquire(&pool).await?).await?;
            let naive = count_in_session(&store).await.context("the session store failed")?;
            Outcome::Counted { sql, naive }
        }
        "rotate" => {
            session.rotate();
            let header = format!("{}={}", cookie_name(&config), presented.value);
            let address = request.connection_info().host().to_owned();
            Outcome::Rotated { header, address, old: presented.value }
        }
        "replay" => {
            let key = fields.get("cookie").and_then(|value| key_in(&config, value));
            // An empty key is invalid, too.
            let key = SessionKey::try_from(key.unwrap_or_default()).expect("the key is short");
            let session = store.load(&key).await.context("the session store failed")?;
            Outcome::Replayed { is_valid: session.is_some() }
        }
        "expire" => {
            let id = SessionId::of(&presented.key).map(|id| id.0).unwrap_or_default();
            sqlx::query!("update sessions set expires_at = now() - interval '1 second' where id = $1", &id)
                .execute(&mut *acquire(&pool).await?)
                .await?;
            Outcome::Expired
        }
        _ => return Err(Error::NotFound),
    };
    page(&request, &Experiments { layout: Layout::new(&request, true), outcome: Some(outcome) })
}

/// Counts visits as many tutorials do: each one reads a session, adds 1, and writes it back.
async fn count_in_session(store: &PgSessionStore) -> Option<i64> {
    let ttl = Duration::minutes(1);
    let state = |count: i64| HashMap::from([("count".to_owned(), count.to_string())]);
    let key = store.save(state(0), &ttl).await.ok()?;
    let read = async || store.load(&key).await.ok()??.get("count")?.parse::<i64>().ok();
    let visit = async || {
        let count = read().await?;
        let key = SessionKey::try_from(key.as_ref().to_owned()).ok()?;
        store.update(key, state(count + 1), &ttl).await.ok()
    };
    join_all((0..VISITS).map(|_| visit())).await;
    let count = read().await;
    store.delete(&key).await.ok()?;
    count
}
