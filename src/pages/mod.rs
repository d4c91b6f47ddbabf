//! A file a page: its template's struct, and its handlers, GET beside POST.

pub mod assets;
pub mod error;
pub mod health;
pub mod logout;
pub mod notice;
pub mod visits;
pub mod welcome;

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderName},
    },
};
use askama::Template;
use time::{OffsetDateTime, format_description::StaticFormatDescription, macros::format_description};
use uuid::Uuid;

use crate::Error;

/// A time as a page shows it: `iso` for the machine, `text` for the reader. UTC, always.
pub struct Moment {
    iso: String,
    text: String,
}

impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        const ISO: StaticFormatDescription =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        const TEXT: StaticFormatDescription =
            format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute]:[second] UTC");
        let format = |description| at.to_offset(time::UtcOffset::UTC).format(description).unwrap_or_default();
        Self { iso: format(ISO), text: format(TEXT) }
    }
}

/// A length of time in words: "30 minutes", "8 hours", "1 hour 30 minutes". Less than a minute counts in seconds.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(seconds / 86_400, "day"), (seconds / 3_600 % 24, "hour"), (seconds / 60 % 60, "minute")];
    let word = |(count, unit): (u64, &str)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match units.into_iter().filter(|(count, _)| *count > 0).map(word).collect::<Vec<_>>() {
        words if words.is_empty() => word((seconds, "second")),
        words => words.join(" "),
    }
}

/// The last part of an id, which is random; the first part of a UUIDv7 is the time, and much alike for all.
fn short(id: Uuid) -> String {
    id.as_simple().to_string().split_off(24)
}

/// A prefetch or prerender, by what the browser says of it: nobody has seen the page yet, and perhaps nobody will.
/// See [`Sec-Purpose`](https://fetch.spec.whatwg.org/#sec-purpose-header); `Purpose` and `X-Moz` are its elders.
fn is_prefetch(request: &HttpRequest) -> bool {
    const NAMES: [HeaderName; 3] = [
        HeaderName::from_static("sec-purpose"),
        HeaderName::from_static("purpose"),
        HeaderName::from_static("x-moz"),
    ];
    NAMES
        .iter()
        .filter_map(|name| request.headers().get(name)?.to_str().ok())
        .any(|purpose| purpose.to_ascii_lowercase().starts_with("prefetch"))
}

/// Whether somebody is there to see the page.
pub(crate) fn is_seen(request: &HttpRequest) -> bool {
    request.method() == Method::GET && !is_prefetch(request)
}

/// Not compressed: two kilobytes saved are not worth a visit's worth of processor, nor the thought, with each new page, of
/// what a length may tell (BREACH). What is fetched once and kept is compressed ([`assets`]).
fn page(template: &impl Template) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, error::CONTENT_TYPE)).body(template.render()?))
}
