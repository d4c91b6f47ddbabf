use std::fmt;

use actix_web::http::StatusCode;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};

use super::log;

/// A client that keeps cookies, like a browser.
pub struct Browser {
    pub client: Client,
    pub url: String,
}

impl Browser {
    /// Sends a request with these headers.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Page {
        Page::with(self.request(method, path), headers).await
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, &[]).await
    }

    /// Posts a form, as a browser does from a page on this site.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        Page::of(request.form(fields)).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }
}

/// What precedes the request ID on an error page.
const REQUEST_ID: &str = r#"<code class="all">"#;

/// A complete response.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl fmt::Debug for Page {
    /// Also shows the last lines that the app logged for the request, if this is an error page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#?}\n{}", self.status, self.headers, self.body)?;
        let id = self.body.split_once(REQUEST_ID).and_then(|(_, rest)| rest.get(..36));
        let lines = id.map(log::lines_with).unwrap_or_default();
        lines.iter().rev().take(5).rev().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl Page {
    pub async fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> Self {
        Self::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        let status = StatusCode::from_u16(response.status().as_u16()).expect("a status");
        let headers = response.headers().clone();
        let body = response.bytes().await.expect("the whole body");
        Self { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Returns the text of the element with this ID. Panics if there is none.
    pub fn element(&self, id: &str) -> &str {
        self.try_element(id).unwrap_or_else(|| panic!("no #{id} in {self:#?}"))
    }

    pub fn try_element(&self, id: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!(r#"id="{id}""#))?;
        let (_, text) = rest.split_once('>')?;
        text.split_once('<').map(|(text, _)| text)
    }

    /// The owner of the session, on a page that shows it.
    pub fn visitor(&self) -> &str {
        self.element("visitor")
    }

    /// The request ID on an error page.
    pub fn request_id(&self) -> &str {
        let (_, id) = self.body.split_once(REQUEST_ID).expect("a request id");
        &id[..36]
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// All `Set-Cookie` headers.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// The methods in the `Allow` header, sorted.
    pub fn allow(&self) -> Vec<&str> {
        let mut allow: Vec<&str> = self.header("allow").split(", ").collect();
        allow.sort_unstable();
        allow
    }

    /// The `name=value` of a cookie that the response sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let set = self.set_cookies().into_iter().find(|set| set.starts_with(&format!("{name}=")))?;
        set.split(';').next().map(str::to_owned)
    }
}

// demo: begin
impl super::TestApp {
    /// Makes a new visitor's first visit. Returns the page and the cookie (`id=…`).
    pub async fn new_session(&self) -> (Page, String) {
        let page = self.get("/").await;
        let cookie = page.cookie("id").expect("a session cookie");
        (page, cookie)
    }
}

impl Page {
    pub fn visits(&self) -> i64 {
        self.element("visits").parse().expect("a number")
    }
}
// demo: end
