//! What a site knows.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::format_description};

use super::BOT;

/// Properties of an issue or a comment.
pub(super) type Properties = BTreeMap<String, Value>;

/// What a project is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectKind {
    /// Of a service desk: comments are public or internal, issues are requests with participants.
    ServiceDesk,
    /// Of software or business: there are no customers.
    Business,
}

impl ProjectKind {
    /// The statuses of its issues, the first of which a new one has.
    fn statuses(self) -> [&'static str; 3] {
        match self {
            Self::ServiceDesk => ["Waiting for support", "Waiting for customer", "Resolved"],
            Self::Business => ["To Do", "In Progress", "Done"],
        }
    }

    fn type_key(self) -> &'static str {
        match self {
            Self::ServiceDesk => "service_desk",
            Self::Business => "business",
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// What it is known by.
    pub account_id: String,
    /// The person's name.
    pub display_name: String,
    /// The mail address; none if the account hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// Whether it can be used.
    pub active: bool,
    /// `atlassian`, `customer` or `app`.
    pub account_type: String,
}

impl User {
    /// An account that can be used, of a person on the site's own side.
    pub fn new(account_id: &str, display_name: &str, email: &str) -> Self {
        Self {
            account_id: account_id.to_owned(),
            display_name: display_name.to_owned(),
            email_address: Some(email.to_owned()),
            active: true,
            account_type: "atlassian".to_owned(),
        }
    }

    /// The same, of a customer of a service desk.
    #[must_use]
    pub fn customer(mut self) -> Self {
        self.account_type = "customer".to_owned();
        self
    }
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) kind: ProjectKind,
    last_number: u64,
}

#[derive(Debug)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) project: String,
    pub(super) issue_type: String,
    pub(super) status: usize,
    /// All but those that have a place of their own here.
    pub(super) fields: Map<String, Value>,
    pub(super) comments: Vec<Comment>,
    pub(super) watchers: Vec<String>,
    pub(super) participants: Vec<String>,
    pub(super) properties: Properties,
    created: String,
    pub(super) updated: String,
}

impl Issue {
    pub(super) fn watch(&mut self, account: &str) {
        if !self.watchers.iter().any(|other| other == account) {
            self.watchers.push(account.to_owned());
        }
    }

    pub(super) fn participate(&mut self, account: &str) {
        if !self.participants.iter().any(|other| other == account) {
            self.participants.push(account.to_owned());
        }
    }
}

#[derive(Debug)]
pub(super) struct Comment {
    pub(super) id: u64,
    author: String,
    pub(super) body: Value,
    pub(super) visibility: Option<Value>,
    pub(super) properties: Properties,
    created: String,
    pub(super) updated: String,
}

impl Comment {
    pub(super) fn is_internal(&self) -> bool {
        let mark = self.properties.get("sd.public.comment");
        mark.is_some_and(|value| value["internal"] == true || value["internal"] == "true")
    }
}

/// A file of an issue.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) id: u64,
    pub(super) issue: u64,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
    author: String,
    created: String,
}

/// By what documents name a file: an id of the service that has the bytes.
pub(super) fn media_id(attachment: u64) -> String {
    format!("5a6e0000-0000-4000-8000-{attachment:012}")
}

#[derive(Debug)]
pub(super) struct Site {
    last_id: u64,
    /// By their ids.
    pub(super) attachments: BTreeMap<u64, Attachment>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) projects: BTreeMap<String, Project>,
    /// By their ids.
    pub(super) issues: BTreeMap<u64, Issue>,
}

impl Default for Site {
    fn default() -> Self {
        let mut site = Self {
            last_id: 10_000,
            attachments: BTreeMap::new(),
            users: BTreeMap::new(),
            projects: BTreeMap::new(),
            issues: BTreeMap::new(),
        };
        let mut bot = User::new(BOT, "Platform", super::EMAIL);
        bot.account_type = "app".to_owned();
        site.add_user(bot);
        site
    }
}

impl Site {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add_user(&mut self, user: User) {
        self.users.insert(user.account_id.clone(), user);
    }

    pub(super) fn add_project(&mut self, key: &str, kind: ProjectKind) {
        let id = self.next_id();
        let project = Project {
            id,
            kind,
            last_number: 0,
        };
        self.projects.entry(key.to_owned()).or_insert(project);
    }

    /// Adds an issue to a project that is there.
    pub(super) fn add_issue(
        &mut self,
        project: &str,
        issue_type: &str,
        summary: &str,
        fields: Value,
    ) -> &Issue {
        let id = self.next_id();
        let number = match self.projects.get_mut(project) {
            Some(project) => {
                project.last_number += 1;
                project.last_number
            }
            None => 0,
        };
        let mut fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("summary".to_owned(), json!(summary));
        let created = now();
        self.issues.entry(id).or_insert(Issue {
            id,
            key: format!("{project}-{number}"),
            project: project.to_owned(),
            issue_type: issue_type.to_owned(),
            status: 0,
            fields,
            comments: Vec::new(),
            watchers: Vec::new(),
            participants: Vec::new(),
            properties: Properties::new(),
            updated: created.clone(),
            created,
        })
    }

    pub(super) fn add_comment(
        &mut self,
        issue: &str,
        author: &str,
        body: Value,
        properties: Properties,
    ) -> Option<&mut Comment> {
        let id = self.next_id();
        let created = now();
        let issue = self.issue_mut(issue)?;
        issue.updated.clone_from(&created);
        issue.comments.push(Comment {
            id,
            author: author.to_owned(),
            body,
            visibility: None,
            properties,
            updated: created.clone(),
            created,
        });
        issue.comments.last_mut()
    }

    /// Attaches a file to an issue. Its id; none where the issue is not there.
    pub(super) fn attach(
        &mut self,
        issue: &str,
        author: &str,
        name: &str,
        content_type: &str,
        bytes: Bytes,
    ) -> Option<u64> {
        let id = self.next_id();
        let created = now();
        let issue = self.issue_mut(issue)?;
        issue.updated.clone_from(&created);
        let issue = issue.id;
        let attachment = Attachment {
            id,
            issue,
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            bytes,
            author: author.to_owned(),
            created,
        };
        self.attachments.insert(id, attachment);
        Some(id)
    }

    /// Lists write ids as texts; a file that is asked for has its id as a number.
    pub(super) fn show_attachment(&self, file: &Attachment) -> Value {
        json!({
            "id": file.id.to_string(), "filename": file.name, "author": self.show_user(&file.author),
            "created": file.created, "size": file.bytes.len(), "mimeType": file.content_type,
            "content": format!("/rest/api/3/attachment/content/{}", file.id),
        })
    }

    /// A comment's body as HTML: its texts, and its files by where they are.
    pub(super) fn render(&self, body: &Value) -> String {
        let inner = |body: &Value| {
            let nodes = body["content"].as_array().into_iter().flatten();
            nodes.map(|node| self.render(node)).collect::<String>()
        };
        match body["type"].as_str() {
            Some("text") => {
                let text = body["text"].as_str().unwrap_or_default();
                text.replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
            }
            Some("paragraph") => format!("<p>{}</p>", inner(body)),
            Some("media" | "mediaInline") => {
                let wanted = body["attrs"]["id"].as_str().unwrap_or_default();
                let known = self.attachments.keys().find(|id| media_id(**id) == wanted);
                known.map_or_else(String::new, |id| {
                    format!(
                        "<span class=\"image-wrap\"><img src=\"/rest/api/3/attachment/content/{id}\"></span>"
                    )
                })
            }
            _ => inner(body),
        }
    }

    /// By key or id.
    pub(super) fn issue(&self, key: &str) -> Option<&Issue> {
        self.issues
            .values()
            .find(|issue| issue.key.eq_ignore_ascii_case(key) || issue.id.to_string() == key)
    }

    pub(super) fn issue_mut(&mut self, key: &str) -> Option<&mut Issue> {
        self.issues
            .values_mut()
            .find(|issue| issue.key.eq_ignore_ascii_case(key) || issue.id.to_string() == key)
    }

    /// A comment of any issue.
    pub(super) fn comment(&self, id: u64) -> Option<&Comment> {
        let mut comments = self.issues.values().flat_map(|issue| &issue.comments);
        comments.find(|comment| comment.id == id)
    }

    pub(super) fn comment_mut(&mut self, id: u64) -> Option<&mut Comment> {
        let mut comments = self.issues.values_mut().flat_map(|issue| &mut issue.comments);
        comments.find(|comment| comment.id == id)
    }

    pub(super) fn kind(&self, issue: &Issue) -> ProjectKind {
        let project = self.projects.get(&issue.project);
        project.map_or(ProjectKind::Business, |project| project.kind)
    }

    /// The statuses that an issue can have, by their places.
    pub(super) fn statuses(&self, issue: &Issue) -> Vec<Value> {
        let names = self.kind(issue).statuses();
        let categories = ["new", "indeterminate", "done"];
        let statuses = (0..).zip(names).zip(categories);
        statuses
            .map(|((n, name), category)| {
                json!({
                    "id": (n + 1).to_string(), "name": name, "statusCategory": { "key": category }
                })
            })
            .collect()
    }

    pub(super) fn show_user(&self, account: &str) -> Value {
        match self.users.get(account) {
            Some(user) => json!(user),
            None => json!({
                "accountId": account, "displayName": "Former user", "active": false, "accountType": "atlassian"
            }),
        }
    }

    /// With all its fields and no properties.
    pub(super) fn show_issue(&self, issue: &Issue) -> Value {
        let mut fields = issue.fields.clone();
        let project = self.projects.get(&issue.project);
        fields.insert(
            "project".to_owned(),
            json!({
                "id": project.map(|project| project.id.to_string()), "key": issue.project,
                "projectTypeKey": self.kind(issue).type_key(),
            }),
        );
        fields.insert("issuetype".to_owned(), json!({ "name": issue.issue_type }));
        let status = self.statuses(issue).swap_remove(issue.status);
        fields.insert("status".to_owned(), status);
        let files = self.attachments.values().filter(|file| file.issue == issue.id);
        let files = files.map(|file| self.show_attachment(file)).collect();
        fields.insert("attachment".to_owned(), files);
        fields.insert("created".to_owned(), json!(issue.created));
        fields.insert("updated".to_owned(), json!(issue.updated));
        json!({ "id": issue.id.to_string(), "key": issue.key, "fields": fields })
    }

    pub(super) fn show_comment(&self, comment: &Comment, with_properties: bool) -> Value {
        let issue = self
            .issues
            .values()
            .find(|issue| issue.comments.iter().any(|other| other.id == comment.id));
        let author = self.show_user(&comment.author);
        let mut shown = json!({
            "id": comment.id.to_string(), "author": author, "updateAuthor": author, "body": comment.body,
            "created": comment.created, "updated": comment.updated,
        });
        if let Some(visibility) = &comment.visibility {
            shown["visibility"] = visibility.clone();
        }
        if issue.is_some_and(|issue| self.kind(issue) == ProjectKind::ServiceDesk) {
            shown["jsdPublic"] = json!(!comment.is_internal());
        }
        if with_properties {
            let properties = comment
                .properties
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }));
            shown["properties"] = properties.collect();
        }
        shown
    }

    /// Everything, for people.
    pub(super) fn shown(&self) -> Value {
        let issues: Vec<_> = self
            .issues
            .values()
            .map(|issue| {
                let mut shown = self.show_issue(issue);
                let comments = issue
                    .comments
                    .iter()
                    .map(|comment| self.show_comment(comment, true));
                shown["comments"] = comments.collect();
                shown["watchers"] = json!(issue.watchers);
                shown["participants"] = json!(issue.participants);
                shown["properties"] = json!(issue.properties);
                shown
            })
            .collect();
        json!({
            "users": self.users.values().collect::<Vec<_>>(),
            "projects": self.projects.keys().collect::<Vec<_>>(),
            "issues": issues,
        })
    }
}

/// As the API writes times.
pub(super) fn now() -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
    // This format fails for no time.
    OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}
