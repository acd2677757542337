//! Jira Cloud and Jira Service Management: a site with users, projects, issues, comments, watchers, participants, properties and
//! transitions, behind the paths of REST API v3 and of the service desk's API.
//!
//! One account with an API token is let in ([`EMAIL`], [`TOKEN`]). What others do, a test does by the functions here.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::Router;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::header;
use serde_json::{Value, json};

use crate::{
    Control,
    control::lock,
    serve::{Manners, Server, with_manners},
};

mod adf;
mod attachments;
mod comments;
mod issues;
mod people;
mod properties;
mod search;
mod state;

use state::Site;
pub use state::{ProjectKind, User};

/// The address of the account that is let in.
pub const EMAIL: &str = "bot@example.com";
/// Its API token.
pub const TOKEN: &str = "jira-token";
/// Its account id.
pub const BOT: &str = "bot";

/// A site. Clones are the same one, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Jira {
    site: Shared,
    control: Control,
    server: Arc<Server>,
}

type Shared = Arc<Mutex<Site>>;

impl Jira {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts one on this address.
    ///
    /// # Errors
    ///
    /// When somebody else has it.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        let site = Shared::default();
        let control = Control::default();
        let routes = Router::new()
            .merge(issues::routes())
            .merge(comments::routes())
            .merge(attachments::routes())
            .merge(people::routes())
            .merge(properties::routes())
            .with_state(Arc::clone(&site));
        let expected = format!("Basic {}", STANDARD.encode(format!("{EMAIL}:{TOKEN}")));
        let shown = Arc::clone(&site);
        let manners = Manners {
            control: control.clone(),
            knows: Arc::new(move |headers| {
                let given = headers.get(header::AUTHORIZATION);
                given.is_some_and(|given| given.as_bytes() == expected.as_bytes())
            }),
            stranger: (
                401,
                error(401, "Client must be authenticated to access this resource."),
            ),
            error,
            state: Arc::new(move || lock(&shown).shown()),
        };
        let server = Server::start(address, with_manners(routes, manners)).await?;
        Ok(Self {
            site,
            control,
            server: Arc::new(server),
        })
    }

    /// The site's URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// For failures on command and counts of calls.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Adds a project with this key.
    pub fn add_project(&self, key: &str, kind: ProjectKind) {
        lock(&self.site).add_project(key, kind);
    }

    /// Adds an account.
    pub fn add_user(&self, user: User) {
        lock(&self.site).add_user(user);
    }

    /// Adds an issue to a project, which is made as a service desk if it is not there. The issue's key.
    pub fn add_issue(&self, project: &str, summary: &str) -> String {
        let mut site = lock(&self.site);
        if !site.projects.contains_key(project) {
            site.add_project(project, ProjectKind::ServiceDesk);
        }
        site.add_issue(project, "Task", summary, json!({})).key.clone()
    }

    /// Adds a comment as this account, internal or public. Its id; none where the issue is not there.
    pub fn add_comment(&self, issue: &str, author: &str, text: &str, internal: bool) -> Option<String> {
        let body = json!({
            "type": "doc", "version": 1,
            "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": text }] }]
        });
        let properties = match internal {
            true => vec![("sd.public.comment".to_owned(), json!({ "internal": true }))],
            false => Vec::new(),
        };
        let mut site = lock(&self.site);
        let comment = site.add_comment(issue, author, body, properties.into_iter().collect())?;
        Some(comment.id.to_string())
    }

    /// Adds a public comment as this account, which shows a file that was attached with it. Its id; none where the issue is not
    /// there.
    pub fn add_comment_with_file(
        &self,
        issue: &str,
        author: &str,
        text: &str,
        (name, content_type, bytes): (&str, &str, &[u8]),
    ) -> Option<String> {
        let mut site = lock(&self.site);
        let file = site.attach(issue, author, name, content_type, Bytes::copy_from_slice(bytes))?;
        let media = json!({
            "type": "media", "attrs": { "type": "file", "id": state::media_id(file), "collection": "", "alt": name }
        });
        let body = json!({
            "type": "doc", "version": 1,
            "content": [
                { "type": "paragraph", "content": [{ "type": "text", "text": text }] },
                { "type": "mediaGroup", "content": [media] },
            ]
        });
        let comment = site.add_comment(issue, author, body, state::Properties::new())?;
        Some(comment.id.to_string())
    }

    /// The files of an issue: their names and what is in them, the oldest first.
    pub fn files(&self, issue: &str) -> Vec<(String, Bytes)> {
        let site = lock(&self.site);
        let Some(issue) = site.issue(issue) else {
            return Vec::new();
        };
        let files = site.attachments.values().filter(|file| file.issue == issue.id);
        files
            .map(|file| (file.name.clone(), file.bytes.clone()))
            .collect()
    }

    /// Makes an account a watcher of an issue.
    pub fn add_watcher(&self, issue: &str, account: &str) {
        if let Some(issue) = lock(&self.site).issue_mut(issue) {
            issue.watch(account);
        }
    }

    /// Makes an account a participant of a request.
    pub fn add_participant(&self, issue: &str, account: &str) {
        if let Some(issue) = lock(&self.site).issue_mut(issue) {
            issue.participate(account);
        }
    }

    /// Sets a property of an issue, as somebody else.
    pub fn set_issue_property(&self, issue: &str, key: &str, value: Value) {
        if let Some(issue) = lock(&self.site).issue_mut(issue) {
            issue.properties.insert(key.to_owned(), value);
        }
    }

    /// An issue as the API shows it, with all its properties, if it is there.
    pub fn issue(&self, key: &str) -> Option<Value> {
        let site = lock(&self.site);
        let issue = site.issue(key)?;
        let mut shown = site.show_issue(issue);
        shown["properties"] = json!(issue.properties);
        Some(shown)
    }

    /// The keys of all issues of a project, the oldest first.
    pub fn issues(&self, project: &str) -> Vec<String> {
        let site = lock(&self.site);
        let of_project = site.issues.values().filter(|issue| issue.project == project);
        of_project.map(|issue| issue.key.clone()).collect()
    }

    /// The comments of an issue as the API shows them, with their properties, the oldest first.
    pub fn comments(&self, issue: &str) -> Vec<Value> {
        let site = lock(&self.site);
        let comments = site
            .issue(issue)
            .map(|issue| &issue.comments[..])
            .unwrap_or_default();
        let show = |comment| site.show_comment(comment, true);
        comments.iter().map(show).collect()
    }

    /// Makes an issue, as the support service does it. Its key; none where there is no such project.
    pub(crate) fn make_issue(
        &self,
        project: &str,
        issue_type: &str,
        summary: &str,
        fields: Value,
    ) -> Option<String> {
        let mut site = lock(&self.site);
        site.projects.contains_key(project).then(|| {
            let issue = site.add_issue(project, issue_type, summary, fields);
            issue.key.clone()
        })
    }
}

/// The body of an error.
fn error(_: u16, text: &str) -> Value {
    json!({ "errorMessages": [text], "errors": {} })
}

/// The body of an error about a field.
fn field_error(field: &str, text: &str) -> Value {
    json!({ "errorMessages": [], "errors": { field: text } })
}

/// An error, as a handler gives it.
struct Refused(u16, Value);

impl Refused {
    fn new(status: u16, text: &str) -> Self {
        Self(status, error(status, text))
    }

    fn field(field: &str, text: &str) -> Self {
        Self(400, field_error(field, text))
    }

    fn no_issue() -> Self {
        Self::new(
            404,
            "Issue does not exist or you do not have permission to see it.",
        )
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        crate::serve::answer(self.0, self.1)
    }
}

/// A body of JSON, whatever the content type says.
fn body(bytes: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refused::new(400, &format!("There was an error parsing JSON: {error}")))
}

/// `startAt` and `maxResults`, or what they are called elsewhere.
fn window(
    start: Option<&String>,
    size: Option<&String>,
    default: usize,
    largest: usize,
) -> Result<(usize, usize), Refused> {
    let number = |text: Option<&String>, default| match text {
        None => Ok(default),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Refused::new(400, &format!("{text} is no number"))),
    };
    Ok((number(start, 0)?, number(size, default)?.min(largest)))
}
