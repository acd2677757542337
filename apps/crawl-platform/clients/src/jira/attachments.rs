//! Files of issues.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Deserializer};

use super::{Call, Jira};
use crate::{Error, http::Form};

/// A file of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// What it is known by.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its name, which others of the issue may have too.
    pub filename: String,
    /// Its type, such as `text/csv`.
    #[serde(default)]
    pub mime_type: String,
    /// Its bytes.
    #[serde(default)]
    pub size: u64,
}

/// A number where one is asked for, a text in lists.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => text,
    })
}

/// A file to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type, such as `text/csv`.
    pub content_type: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What became of a file that is to be there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The file.
    pub attachment: Attachment,
    /// Whether it was there before.
    pub was_there: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rendered {
    #[serde(default)]
    rendered_body: String,
}

impl Jira {
    /// The files of an issue.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there.
    pub async fn attachments(&self, issue: &str) -> Result<Vec<Attachment>, Error> {
        let issue = self.issue(issue, &["attachment"], &[]).await?;
        let listed = issue.fields.get("attachment").and_then(|list| list.as_array());
        let listed = listed.map(Vec::as_slice).unwrap_or_default();
        // What cannot be read is none that anything could be done with.
        Ok(listed
            .iter()
            .filter_map(|one| Attachment::deserialize(one).ok())
            .collect())
    }

    /// A file, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn attachment(&self, id: &str) -> Result<Option<Attachment>, Error> {
        let path = ["rest", "api", "3", "attachment", id];
        match self.get("get an attachment", &path, &[]).await {
            Ok(attachment) => Ok(Some(attachment)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files that a comment shows, in its order. A comment names them by ids of another service; only as it is rendered
    /// it has theirs.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a comment that is not there.
    pub async fn attachments_of(&self, issue: &str, comment: &str) -> Result<Vec<Attachment>, Error> {
        let path = ["rest", "api", "3", "issue", issue, "comment", comment];
        let query = [("expand", "renderedBody")];
        let rendered: Rendered = self.get("get a comment as it is shown", &path, &query).await?;
        let mut found = Vec::new();
        for id in named(&rendered.rendered_body) {
            found.extend(self.attachment(id).await?);
        }
        Ok(found)
    }

    /// What is in a file.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a file that is not there.
    pub async fn attachment_content(&self, id: &str) -> Result<Bytes, Error> {
        let path = ["rest", "api", "3", "attachment", "content", id];
        let call = Call {
            // Else it answers with where the bytes lie, at another host.
            query: &[("redirect", "false")],
            ..Call::new(Method::GET, &path)
        };
        Ok(self.call("download an attachment", call).await?.into_bytes())
    }

    /// Attaches a file. Whoever repeats this after an error may attach it twice: see [`attach_once`](Self::attach_once).
    ///
    /// # Errors
    ///
    /// [`Error`]; 413 is a file that is larger than the site takes.
    pub async fn attach(&self, issue: &str, file: Upload<'_>) -> Result<Attachment, Error> {
        const OPERATION: &str = "attach a file";
        let path = ["rest", "api", "3", "issue", issue, "attachments"];
        let request = self.request(OPERATION, Call::new(Method::POST, &path));
        let form = Form::file("file", file.name, file.content_type, file.bytes);
        // The service takes a form from no page of another site, and this is how others say that they are none.
        let checked = (
            HeaderName::from_static("x-atlassian-token"),
            HeaderValue::from_static("no-check"),
        );
        let reply = self
            .http
            .send_form(request, form, HeaderMap::from_iter([checked]));
        let attached: Vec<Attachment> = reply.await?.json()?;
        attached.into_iter().next().ok_or_else(|| Error {
            service: "Jira",
            operation: OPERATION,
            failure: segno_sinks::Failure::retryable("it says of no file that it was attached"),
        })
    }

    /// Attaches a file, unless the issue has one of its name. The service takes no idempotency key, so the name has to be one
    /// that no other file of the issue has.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn attach_once(&self, issue: &str, file: Upload<'_>) -> Result<Attached, Error> {
        let there = self.attachments(issue).await?;
        if let Some(attachment) = there.into_iter().find(|one| one.filename == file.name) {
            return Ok(Attached {
                attachment,
                was_there: true,
            });
        }
        Ok(Attached {
            attachment: self.attach(issue, file).await?,
            was_there: false,
        })
    }
}

/// The ids of the files that a page links to, each once.
fn named(html: &str) -> Vec<&str> {
    let mut ids = Vec::new();
    for place in [
        "/attachment/content/",
        "/attachment/thumbnail/",
        "/secure/attachment/",
    ] {
        for (at, _) in html.match_indices(place) {
            let rest = &html[at + place.len()..];
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if end > 0 {
                ids.push((at, &rest[..end]));
            }
        }
    }
    ids.sort_unstable();
    let mut each = Vec::new();
    for (_, id) in ids {
        if !each.contains(&id) {
            each.push(id);
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_files_of_a_page() {
        let html = "<p>See</p><img src=\"/rest/api/3/attachment/content/12\"><a \
            href=\"https://x.example/secure/attachment/7/a.pdf\">a.pdf</a>\
            <img src=\"/rest/api/3/attachment/thumbnail/12\">/attachment/content/x";
        assert_eq!(named(html), ["12", "7"]);
    }
}
