//! `GET /static/…`: the files in `static/`, compiled into the program. Pages add a hash to each address (`?v=…`), so
//! browsers can keep a file for a year and still fetch a new version immediately.

use std::{env, sync::LazyLock};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, middleware::Compress, web};
use sha2::{Digest, Sha256};

/// Returns the address of a file, including its hash. Templates call this.
pub fn url(path: &str) -> &'static str {
    &FILES.iter().find(|file| file.path == path).expect("a file in this list").url
}

struct File {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
    /// The path, including the hash.
    url: String,
    hash: String,
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Under `cargo dev --watch`, returns the address of a script that reloads the page after a restart.
pub fn reload() -> Option<&'static str> {
    FILES.iter().find(|file| file.path == "/static/reload.js").map(|file| &*file.url)
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut files = vec![
        File::new("/static/app.css", CSS, include_bytes!("../../static/app.css")),
        File::new("/static/accounts.js", SCRIPT, include_bytes!("../../static/accounts.js")), // accounts
        File::new("/static/visits.css", CSS, include_bytes!("../../static/visits.css")),      // demo
        File::new("/static/visits.js", SCRIPT, include_bytes!("../../static/visits.js")),     // demo
        File::new("/static/favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")),
    ];
    if cfg!(debug_assertions) && env::var_os("DEV_RELOAD").is_some() {
        // The process ID makes the script's hash change at each start.
        let script = format!("{}// {}\n", include_str!("../../static/reload.js"), std::process::id());
        files.push(File::new("/static/reload.js", SCRIPT, script.leak().as_bytes()));
    }
    files
});

impl File {
    fn new(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        let hash: String = Sha256::digest(body)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path, content_type, body, url: format!("{path}?v={hash}"), hash }
    }

    /// Returns the file, or 304 if the browser already has it.
    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        // The tag is weak, because the compressed file has the same tag.
        let etag = format!("W/\"{}\"", self.hash);
        let known = request.headers().get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let is_current = known.is_some_and(|known| known == "*" || known.contains(&self.hash));
        let mut response = if is_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        let has_hash = request.query_string().strip_prefix("v=") == Some(&self.hash);
        let cache = if has_hash { "public, max-age=31536000, immutable" } else { "public, no-cache" };
        response.insert_header((header::ETAG, etag)).insert_header((header::CACHE_CONTROL, cache));
        response.content_type(self.content_type);
        if is_current { response.finish() } else { response.body(self.body) }
    }
}

/// Adds a route for each file. actix-web would match a pattern such as `/static/{file}` with a regular expression.
pub fn routes(config: &mut web::ServiceConfig) {
    for file in FILES.iter() {
        let respond = async move |request: HttpRequest| file.respond(&request);
        let resource = web::resource(file.path).route(web::head().to(respond)).route(web::get().to(respond));
        config.service(resource.wrap(Compress::default()));
    }
}
