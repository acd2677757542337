//! Issues.

use http::Method;
use segno_sinks::Failure;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Error;

use super::{Call, Jira, PAGE, Properties, adf::Document, properties};

/// An issue, with the fields that were asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Issue {
    /// The number that it keeps when it is moved.
    pub id: String,
    /// Such as `SUP-12`.
    pub key: String,
    /// Its fields as the service has them.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// Its properties, those that were asked for.
    #[serde(default, deserialize_with = "properties::read")]
    pub properties: Properties,
}

impl Issue {
    /// Its title.
    pub fn summary(&self) -> Option<&str> {
        self.fields.get("summary")?.as_str()
    }

    /// The name of its status.
    pub fn status(&self) -> Option<&str> {
        self.fields.get("status")?["name"].as_str()
    }

    /// Its description.
    pub fn description(&self) -> Option<Document> {
        Document::deserialize(self.fields.get("description")?).ok()
    }
}

/// An issue to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIssue {
    /// The key of its project.
    pub project: String,
    /// The name of its type, such as `Task`.
    pub issue_type: String,
    /// Its title.
    pub summary: String,
    /// What it is about.
    pub description: Option<Document>,
    /// Its labels, which are words.
    pub labels: Vec<String>,
    /// Further fields as the service has them.
    pub fields: Map<String, Value>,
    /// Its properties.
    pub properties: Properties,
}

impl NewIssue {
    /// An issue with what every issue has.
    pub fn new(project: &str, issue_type: &str, summary: &str) -> Self {
        Self {
            project: project.to_owned(),
            issue_type: issue_type.to_owned(),
            summary: summary.to_owned(),
            description: None,
            labels: Vec::new(),
            fields: Map::new(),
            properties: Properties::new(),
        }
    }

    fn to_json(&self) -> Value {
        let mut fields = self.fields.clone();
        // A title is one line.
        let summary = self.summary.split_whitespace().collect::<Vec<_>>().join(" ");
        fields.insert("project".to_owned(), json!({ "key": self.project }));
        fields.insert("issuetype".to_owned(), json!({ "name": self.issue_type }));
        fields.insert("summary".to_owned(), json!(summary));
        if let Some(description) = &self.description {
            fields.insert("description".to_owned(), json!(description));
        }
        if !self.labels.is_empty() {
            fields.insert("labels".to_owned(), json!(self.labels));
        }
        json!({ "fields": fields, "properties": properties::as_list(&self.properties) })
    }
}

/// What an issue that was created is known by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// The number that it keeps when it is moved.
    pub id: String,
    /// Such as `SUP-12`.
    pub key: String,
}

/// What is to be changed of an issue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// Fields to be set.
    pub fields: Map<String, Value>,
    /// Properties to be set.
    pub properties: Properties,
}

/// A way from an issue's status to another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Transition {
    /// What it is known by.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it leads.
    pub to: Status,
}

/// A status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// What it is known by.
    pub id: String,
    /// What it is called.
    pub name: String,
}

#[derive(Deserialize)]
struct Transitions {
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hits {
    issues: Vec<Issue>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl Jira {
    /// An issue with these fields (all, if there are none) and properties.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there, or not for this account.
    pub async fn issue(&self, key: &str, fields: &[&str], properties: &[&str]) -> Result<Issue, Error> {
        let (fields, properties) = (fields.join(","), properties.join(","));
        let mut query = Vec::new();
        if !fields.is_empty() {
            query.push(("fields", fields.as_str()));
        }
        if !properties.is_empty() {
            query.push(("properties", properties.as_str()));
        }
        self.get("get an issue", &["rest", "api", "3", "issue", key], &query)
            .await
    }

    /// Issues found by JQL, with these fields, at most so many. The service's index may be seconds behind.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn search(&self, jql: &str, fields: &[&str], at_most: usize) -> Result<Vec<Issue>, Error> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        while all.len() < at_most {
            let size = PAGE.min(at_most - all.len());
            let mut body = json!({ "jql": jql, "fields": fields, "maxResults": size });
            if let Some(token) = &token {
                body["nextPageToken"] = json!(token);
            }
            let call = Call::new(Method::POST, &["rest", "api", "3", "search", "jql"]).body(body);
            let page: Hits = self.call("search issues", call).await?.json()?;
            all.extend(page.issues);
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        all.truncate(at_most);
        Ok(all)
    }

    /// Creates an issue. Whoever repeats this after an error may create it twice.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn create_issue(&self, issue: &NewIssue) -> Result<Created, Error> {
        let call = Call::new(Method::POST, &["rest", "api", "3", "issue"]).body(issue.to_json());
        self.call("create an issue", call).await?.json()
    }

    /// Changes fields and properties of an issue.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn edit_issue(&self, key: &str, edit: &Edit) -> Result<(), Error> {
        let path = ["rest", "api", "3", "issue", key];
        let body = json!({ "fields": edit.fields, "properties": properties::as_list(&edit.properties) });
        self.call("edit an issue", Call::new(Method::PUT, &path).body(body))
            .await
            .map(drop)
    }

    /// The transitions that an issue can take now.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn transitions(&self, key: &str) -> Result<Vec<Transition>, Error> {
        let path = ["rest", "api", "3", "issue", key, "transitions"];
        let list: Transitions = self.get("list the transitions of an issue", &path, &[]).await?;
        Ok(list.transitions)
    }

    /// Moves an issue by a transition.
    ///
    /// # Errors
    ///
    /// [`Error`]; 400 is a transition that it cannot take now.
    pub async fn transition(&self, key: &str, id: &str) -> Result<(), Error> {
        let path = ["rest", "api", "3", "issue", key, "transitions"];
        let call = Call::new(Method::POST, &path).body(json!({ "transition": { "id": id } }));
        self.call("move an issue", call).await.map(drop)
    }

    /// Moves an issue to the status of this name, unless it has it; so it can be repeated. Whether it was moved.
    ///
    /// # Errors
    ///
    /// [`Error`]; permanent if no transition leads there now.
    pub async fn move_to(&self, key: &str, status: &str) -> Result<bool, Error> {
        let issue = self.issue(key, &["status"], &[]).await?;
        if issue.status() == Some(status) {
            return Ok(false);
        }
        let transitions = self.transitions(key).await?;
        let Some(found) = transitions.iter().find(|transition| transition.to.name == status) else {
            return Err(Error {
                service: "Jira",
                operation: "move an issue",
                failure: Failure::permanent(format!(
                    "no transition leads from {:?} to {status:?}",
                    issue.status().unwrap_or("its status")
                )),
            });
        };
        self.transition(key, &found.id).await?;
        Ok(true)
    }
}
