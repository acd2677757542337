//! Files of issues.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{BOT, Refused, Shared, state::Site};
use crate::control::lock;

/// Largest file, in bytes.
const LARGEST: usize = 10 * 1024 * 1024;

pub(super) fn routes() -> Router<Shared> {
    let attaching = post(attach).layer(DefaultBodyLimit::max(LARGEST + 64 * 1024));
    Router::new()
        .route("/rest/api/3/issue/{issue}/attachments", attaching)
        .route("/rest/api/3/attachment/{id}", get(one).delete(remove))
        .route("/rest/api/3/attachment/content/{id}", get(content))
}

async fn attach(
    State(site): State<Shared>,
    Path(issue): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let checked = headers.get("x-atlassian-token");
    if checked.is_none_or(|value| value != "no-check" && value != "nocheck") {
        return Err(Refused::new(403, "XSRF check failed"));
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let malformed = || Refused::new(400, "the request is no multipart/form-data");
    let files = form(content_type.unwrap_or_default(), &bytes).ok_or_else(malformed)?;
    let mut site = lock(&site);
    if site.issue(&issue).is_none() {
        return Err(Refused::no_issue());
    }
    if files.iter().any(|file| file.bytes.len() > LARGEST) {
        return Err(Refused::new(413, "The file is larger than the site takes."));
    }
    let mut attached = Vec::new();
    for file in files.iter().filter(|file| file.field == "file") {
        let bytes = Bytes::copy_from_slice(file.bytes);
        let id = site.attach(&issue, BOT, &file.name, &file.content_type, bytes);
        let shown = id.and_then(|id| Some(site.show_attachment(site.attachments.get(&id)?)));
        attached.extend(shown);
    }
    Ok(Json(Value::Array(attached)))
}

/// A file of a form.
struct File<'a> {
    field: String,
    name: String,
    content_type: String,
    bytes: &'a [u8],
}

/// The files of a form (RFC 7578).
fn form<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<File<'a>>> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let (_, boundary) = rest.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let delimiter = format!("--{boundary}").into_bytes();
    let mut files = Vec::new();
    let mut at = find(body, &delimiter)? + delimiter.len();
    while !body[at..].starts_with(b"--") {
        let part = body[at..].strip_prefix(b"\r\n")?;
        let ends = find(part, &[b"\r\n".as_slice(), &delimiter].concat())?;
        at += 2 + ends + 2 + delimiter.len();
        let part = &part[..ends];
        let head = find(part, b"\r\n\r\n")?;
        let (fields, bytes) = (std::str::from_utf8(&part[..head]).ok()?, &part[head + 4..]);
        let field = |name: &str| {
            let mut lines = fields.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim())
        };
        let disposition = field("content-disposition")?;
        let parameter = |name: &str| {
            let (_, rest) = disposition.split_once(&format!("; {name}=\""))?;
            rest.split('"').next()
        };
        files.push(File {
            field: parameter("name")?.to_owned(),
            name: parameter("filename")?.replace("%22", "\""),
            content_type: field("content-type")
                .unwrap_or("application/octet-stream")
                .to_owned(),
            bytes,
        });
    }
    Some(files)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts
        .map(|(at, _)| at)
        .find(|at| bytes[*at..].starts_with(wanted))
}

fn number(site: &Site, id: &str) -> Result<u64, Refused> {
    let known = site.attachments.keys().find(|known| known.to_string() == id);
    let missing = || Refused::new(404, &format!("The attachment with id '{id}' does not exist"));
    known.copied().ok_or_else(missing)
}

async fn one(State(site): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let site = lock(&site);
    let number = number(&site, &id)?;
    let mut shown = site
        .attachments
        .get(&number)
        .map(|file| site.show_attachment(file))
        .unwrap_or_default();
    shown["id"] = json!(number);
    Ok(Json(shown))
}

async fn remove(State(site): State<Shared>, Path(id): Path<String>) -> Result<Response, Refused> {
    let mut site = lock(&site);
    let number = number(&site, &id)?;
    site.attachments.remove(&number);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn content(
    State(site): State<Shared>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Refused> {
    let site = lock(&site);
    let number = number(&site, &id)?;
    if query.get("redirect").is_none_or(|redirect| redirect != "false") {
        // The service leads to another host; there is none here.
        let place = format!("/rest/api/3/attachment/content/{number}?redirect=false");
        return Ok(Redirect::to(&place).into_response());
    }
    let file = site.attachments.get(&number);
    let (content_type, bytes) = file
        .map(|file| (file.content_type.clone(), file.bytes.clone()))
        .unwrap_or_default();
    Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response())
}
