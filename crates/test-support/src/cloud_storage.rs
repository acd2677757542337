//! A stand-in for Google Cloud Storage: the part of its XML API by which objects are written and read.
//! <https://cloud.google.com/storage/docs/xml-api/reference-methods>
//!
//! It keeps what it is given, and is as strict as the service about who asks, preconditions, checksums and the parts of multipart
//! uploads. Google's own client is its judge, in the tests of this crate.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header},
    response::IntoResponse as _,
    routing::any,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

mod account;
mod objects;
mod refusal;

use account::Account;
use objects::Objects;
pub use objects::StoredObject;
use refusal::Refusal;

/// Most bytes of a request.
const MAX_BODY: usize = 64 << 20;
/// The namespace of the documents that S3 has too.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The stand-in; it stops listening when dropped.
pub struct CloudStorage {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    account: Account,
    objects: Mutex<Objects>,
    /// Whether the account may not write.
    forbidden: Mutex<bool>,
}

impl Drop for CloudStorage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CloudStorage {
    /// Starts one with no bucket.
    ///
    /// # Panics
    ///
    /// When there is no free port, or no `openssl` to make the account's key with.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            account: Account::new(),
            objects: Mutex::default(),
            forbidden: Mutex::new(false),
        });
        let app = axum::Router::new()
            .fallback(any(answer))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Self {
            shared,
            address,
            task,
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is, in place of `https://storage.googleapis.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file of the service account that may use it, as Google hands it out.
    pub fn account(&self) -> Value {
        self.shared.account.file()
    }

    /// The file of a service account that it does not know.
    pub fn strange_account() -> Value {
        Account::new().file()
    }

    /// Makes an empty bucket.
    pub fn create_bucket(&self, name: &str) {
        self.shared.objects.lock().create_bucket(name);
    }

    /// Lets the account write no more, or again.
    pub fn forbid(&self, forbidden: bool) {
        *self.shared.forbidden.lock() = forbidden;
    }

    /// An object that is there.
    pub fn object(&self, bucket: &str, name: &str) -> Option<StoredObject> {
        self.shared.objects.lock().get(bucket, name).ok()
    }

    /// How many multipart uploads are neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        self.shared.objects.lock().open_uploads()
    }
}

/// What a request is about.
struct Call<'a> {
    bucket: String,
    name: String,
    query: Vec<(String, String)>,
    headers: &'a HeaderMap,
}

impl Call<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        pairs
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The generation that an object must have for the request to be carried out; 0 is that of none.
    fn if_generation(&self) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.header("x-goog-if-generation-match") else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| Refusal::invalid("x-goog-if-generation-match is no number"))
    }
}

type Answer = Result<Response<axum::body::Body>, Refusal>;

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    let answer = respond(&shared, &method, &uri, &headers, &body);
    answer.unwrap_or_else(|refusal| refusal.into_response())
}

fn respond(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Answer {
    shared.account.check(headers)?;
    let url = url::Url::parse(&format!("http://localhost{uri}")).map_err(|_| Refusal::invalid("a path"))?;
    let query = url.query_pairs().into_owned().collect();
    // The URL's own parser takes `.` and `..` for folders, which they are not here.
    let path = uri.path().trim_start_matches('/');
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    let call = Call {
        bucket: decoded(bucket)?,
        name: decoded(name)?,
        query,
        headers,
    };
    if !(1..=1_024).contains(&call.name.len()) || call.name.contains(['\r', '\n']) {
        return Err(Refusal::invalid("the name of an object has 1 to 1024 bytes"));
    }
    if method != Method::GET && method != Method::HEAD && *shared.forbidden.lock() {
        return Err(Refusal::forbidden());
    }
    let mut objects = shared.objects.lock();
    let upload = call.query("uploadId");
    match (method.as_str(), upload) {
        ("PUT", Some(id)) => put_part(&mut objects, &call, id, body),
        ("PUT", None) => put(&mut objects, &call, body),
        ("GET" | "HEAD", None) => get(&objects, &call),
        ("POST", None) if call.query("uploads").is_some() => initiate(&mut objects, &call),
        ("POST", Some(id)) => complete(&mut objects, &call, id, body),
        ("DELETE", Some(id)) => objects.abort(&call.bucket, &call.name, id).map(|()| no_content()),
        ("DELETE", None) => objects.delete(&call.bucket, &call.name).map(|()| no_content()),
        _ => Err(Refusal::method()),
    }
}

fn put(objects: &mut Objects, call: &Call<'_>, body: &Bytes) -> Answer {
    objects::verify(call.headers, body)?;
    let content_type = call.header("content-type").unwrap_or("binary/octet-stream");
    let stored = objects.put(
        &call.bucket,
        &call.name,
        content_type,
        body.clone(),
        call.if_generation()?,
    )?;
    Ok(described(&stored, Bytes::new()))
}

fn get(objects: &Objects, call: &Call<'_>) -> Answer {
    let stored = objects.get(&call.bucket, &call.name)?;
    if let Some(generation) = call.query("generation")
        && generation != stored.generation.to_string()
    {
        return Err(Refusal::no_such("Key"));
    }
    let mut response = described(&stored, stored.body.clone());
    let content_type = HeaderValue::from_str(&stored.content_type);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        content_type.map_err(|_| Refusal::invalid("a content type"))?,
    );
    Ok(response)
}

fn initiate(objects: &mut Objects, call: &Call<'_>) -> Answer {
    let content_type = call.header("content-type").unwrap_or("binary/octet-stream");
    let id = objects.initiate(&call.bucket, &call.name, content_type)?;
    Ok(document(
        "InitiateMultipartUploadResult",
        &[("Bucket", &call.bucket), ("Key", &call.name), ("UploadId", &id)],
    ))
}

fn put_part(objects: &mut Objects, call: &Call<'_>, id: &str, body: &Bytes) -> Answer {
    objects::verify(call.headers, body)?;
    let number = call.query("partNumber").and_then(|number| number.parse().ok());
    let number = number.filter(|number| (1..=10_000).contains(number));
    let number = number.ok_or_else(|| Refusal::invalid("a part has a number from 1 to 10000"))?;
    let etag = objects.put_part(&call.bucket, &call.name, id, number, body.clone())?;
    let mut response = no_content();
    *response.status_mut() = StatusCode::OK;
    insert(&mut response, "etag", &etag);
    insert(&mut response, "x-goog-hash", &objects::hashes(body, true));
    Ok(response)
}

fn complete(objects: &mut Objects, call: &Call<'_>, id: &str, body: &Bytes) -> Answer {
    let parts = objects::listed(body)?;
    let stored = objects.complete(&call.bucket, &call.name, id, &parts)?;
    let mut response = document(
        "CompleteMultipartUploadResult",
        &[
            ("Bucket", &call.bucket),
            ("Key", &call.name),
            ("ETag", &stored.etag),
        ],
    );
    insert(&mut response, "x-goog-generation", &stored.generation.to_string());
    Ok(response)
}

/// An answer with what is known of an object.
fn described(stored: &StoredObject, body: Bytes) -> Response<axum::body::Body> {
    let mut response = body.into_response();
    let hashes = objects::hashes(&stored.body, !stored.composed);
    for (name, value) in [
        ("etag", &*stored.etag),
        ("last-modified", &*stored.modified),
        ("x-goog-generation", &*stored.generation.to_string()),
        ("x-goog-metageneration", "1"),
        ("x-goog-stored-content-length", &*stored.body.len().to_string()),
        ("x-goog-hash", &*hashes),
    ] {
        insert(&mut response, name, value);
    }
    response
}

fn no_content() -> Response<axum::body::Body> {
    StatusCode::NO_CONTENT.into_response()
}

fn document(root: &str, fields: &[(&str, &str)]) -> Response<axum::body::Body> {
    let fields = fields
        .iter()
        .map(|(name, text)| format!("<{name}>{}</{name}>", escaped(text)));
    let fields: String = fields.collect();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">{fields}</{root}>"
    );
    let mut response = text.into_response();
    insert(&mut response, "content-type", "application/xml; charset=UTF-8");
    response
}

fn insert(response: &mut Response<axum::body::Body>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("it is in visible ASCII");
    response.headers_mut().insert(name, value);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A part of a path without its percent signs.
fn decoded(text: &str) -> Result<String, Refusal> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::invalid("a name is in UTF-8"))
}
