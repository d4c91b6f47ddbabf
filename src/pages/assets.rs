//! `GET /static/…`: the stylesheet, the script and the icon, compiled into the program.
//!
//! Pages name each file with its hash (`/static/app.css?v=…`), so that a browser may keep it for a year and still gets a
//! new one at once. Without the hash a file is revalidated by its ETag.

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, ETag, Encoding, EntityTag, Header, IfNoneMatch},
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// The addresses of the files, as pages name them.
pub struct Assets {
    pub(super) stylesheet: String,
    pub(super) script: String,
    pub(super) favicon: String,
}

struct File {
    path: &'static str,
    content_type: &'static str,
    body: Bytes,
    gzip: Bytes,
    hash: String,
}

static FILES: LazyLock<[File; 3]> = LazyLock::new(|| {
    [
        File::new("/static/app.css", "text/css; charset=utf-8", include_bytes!("../../static/app.css")),
        File::new("/static/app.js", "text/javascript; charset=utf-8", include_bytes!("../../static/app.js")),
        File::new("/static/favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")),
    ]
});

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let [stylesheet, script, favicon] = FILES.each_ref().map(|file| format!("{}?v={}", file.path, file.hash));
    Assets { stylesheet, script, favicon }
});

impl Assets {
    pub(super) fn get() -> &'static Self {
        &ASSETS
    }
}

impl File {
    fn new(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        let hash = Sha256::digest(body)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let gzip = gzip(body).expect("memory takes every write").into();
        Self { path, content_type, body: Bytes::from_static(body), gzip, hash }
    }
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}

/// Where the files are: each is a route of its own.
pub fn paths() -> [&'static str; 3] {
    FILES.each_ref().map(|file| file.path)
}

/// The file of one of these [`paths`], compressed if the browser takes that; 304 if it has it.
pub async fn get(request: HttpRequest) -> HttpResponse {
    // The path that was matched: `app%2Ecss` is `app.css`.
    let Some(file) = FILES.iter().find(|file| file.path == request.match_info().as_str()) else {
        return HttpResponse::NotFound().finish();
    };
    let compressed = takes_gzip(&request);
    // The two forms differ in their bytes, and so in their strong ETags.
    let etag = EntityTag::new_strong(format!("{}{}", file.hash, if compressed { "-gzip" } else { "" }));
    let is_current = is_current(&request, &etag);
    let mut response = if is_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    let current = request.query_string().strip_prefix("v=").is_some_and(|hash| hash == file.hash);
    let kept = if current { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    response
        .insert_header(ETag(etag.clone()))
        .insert_header((header::CACHE_CONTROL, kept))
        .insert_header((header::VARY, "accept-encoding"))
        .content_type(file.content_type);
    if is_current {
        return response.finish();
    }
    if compressed {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return response.body(file.gzip.clone());
    }
    response.body(file.body.clone())
}

fn is_current(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(etag)),
        Err(_) => false,
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    AcceptEncoding::parse(request)
        .ok()
        .and_then(|accepted| accepted.negotiate([Encoding::gzip(), Encoding::identity()].iter()))
        .is_some_and(|encoding| encoding == Encoding::gzip())
}
