//! Comments of issues.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;

use super::{Call, Jira, Page, Properties, User, adf::Document, properties};

/// The property by which [`Jira::add_comment_once`] knows a comment again. Its value is `{"key": …}`.
pub const ONCE: &str = "segno.once";
/// The property by which service desks tell internal comments.
const INTERNAL: &str = "sd.public.comment";
/// How many of the newest comments are searched for one that is to be there once. Those that are added while an attempt is
/// repeated are far fewer.
const SEARCHED: usize = 1_000;

/// A comment of an issue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// What it is known by.
    pub id: String,
    /// Who wrote it; nobody for an account that is no more.
    #[serde(default)]
    pub author: Option<User>,
    /// What it says.
    pub body: Document,
    /// When it was written (ISO 8601).
    #[serde(default)]
    pub created: String,
    /// When it was changed last (ISO 8601).
    #[serde(default)]
    pub updated: String,
    /// In projects of a service desk: whether customers see it.
    #[serde(default)]
    pub jsd_public: Option<bool>,
    /// The role or group that alone sees it, as the service describes it.
    #[serde(default)]
    pub visibility: Option<Value>,
    /// Its properties, where they were asked for.
    #[serde(default, deserialize_with = "properties::read")]
    pub properties: Properties,
}

impl Comment {
    /// Whether it is not for customers: a service desk's internal note, or a comment that a role or a group alone sees.
    pub fn is_internal(&self) -> bool {
        let marked = self
            .properties
            .get(INTERNAL)
            .is_some_and(|value| value["internal"] == true || value["internal"] == "true");
        self.jsd_public == Some(false) || self.visibility.is_some() || marked
    }

    /// The key that it was [added once](Jira::add_comment_once) under; none if it was not, or its properties were not asked
    /// for.
    pub fn once_key(&self) -> Option<&str> {
        self.properties.get(ONCE)?["key"].as_str()
    }
}

/// Who sees a comment in a project of a service desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Customers too.
    Public,
    /// Agents alone.
    Internal,
}

/// A comment to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewComment {
    /// What it says.
    pub body: Document,
    /// Who sees it.
    pub visibility: Visibility,
    /// Further properties.
    pub properties: Properties,
}

impl NewComment {
    /// A comment of paragraphs of text.
    pub fn text(text: &str, visibility: Visibility) -> Self {
        Self {
            body: Document::from_text(text),
            visibility,
            properties: Properties::new(),
        }
    }

    /// The same with one property more.
    #[must_use]
    pub fn property(mut self, key: &str, value: Value) -> Self {
        self.properties.insert(key.to_owned(), value);
        self
    }

    fn to_json(&self) -> Value {
        let mut properties = self.properties.clone();
        if self.visibility == Visibility::Internal {
            properties.insert(INTERNAL.to_owned(), json!({ "internal": true }));
        }
        json!({ "body": self.body, "properties": properties::as_list(&properties) })
    }
}

/// What became of a comment that is to be there once.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The comment.
    pub comment: Comment,
    /// Whether it was there before.
    pub was_there: bool,
}

#[derive(Deserialize)]
struct Comments {
    comments: Vec<Comment>,
    total: usize,
}

impl Page for Comments {
    type Item = Comment;
    const START: &str = "startAt";
    const SIZE: &str = "maxResults";

    fn into_items(self, before: usize) -> (Vec<Comment>, bool) {
        let more = before + self.comments.len() < self.total;
        (self.comments, more)
    }
}

#[derive(Deserialize)]
struct Found {
    values: Vec<Comment>,
}

impl Jira {
    /// The newest comments of an issue, the newest first, without their properties.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there.
    pub async fn comments(&self, issue: &str, at_most: usize) -> Result<Vec<Comment>, Error> {
        let path = ["rest", "api", "3", "issue", issue, "comment"];
        let query = [("orderBy", "-created")];
        self.list::<Comments>("list the comments of an issue", &path, &query, at_most)
            .await
    }

    /// The newest comment of an issue with its properties, if there is any.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there.
    pub async fn latest_comment(&self, issue: &str) -> Result<Option<Comment>, Error> {
        let newest = self.comments(issue, 1).await?;
        let Some(comment) = self.with_properties(newest).await?.pop() else {
            return Ok(None);
        };
        Ok(Some(comment))
    }

    /// A comment of an issue with its properties, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn comment(&self, issue: &str, id: &str) -> Result<Option<Comment>, Error> {
        let path = ["rest", "api", "3", "issue", issue, "comment", id];
        match self.get("get a comment", &path, &[]).await {
            Ok(comment) => Ok(self.with_properties(vec![comment]).await?.pop()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a comment. Whoever repeats this after an error may add it twice: see
    /// [`add_comment_once`](Self::add_comment_once).
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn add_comment(&self, issue: &str, comment: &NewComment) -> Result<Comment, Error> {
        let path = ["rest", "api", "3", "issue", issue, "comment"];
        let call = Call::new(Method::POST, &path).body(comment.to_json());
        self.call("add a comment", call).await?.json()
    }

    /// Adds a comment, unless there is one that was added under this key. The service takes no idempotency key, so the
    /// comment has it in a property, and is looked for first. Two who do this under one key at the same moment may both add
    /// it; who repeats it after an error does not.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn add_comment_once(
        &self,
        issue: &str,
        key: &str,
        comment: &NewComment,
    ) -> Result<Added, Error> {
        if let Some(comment) = self.comment_added_under(issue, key).await? {
            return Ok(Added {
                comment,
                was_there: true,
            });
        }
        let comment = comment.clone().property(ONCE, json!({ "key": key }));
        let mut added = self.add_comment(issue, &comment).await?;
        if added.properties.is_empty() {
            added.properties = comment.properties;
        }
        Ok(Added {
            comment: added,
            was_there: false,
        })
    }

    /// The comment that was [added once](Self::add_comment_once) under this key, if it is among the newest.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn comment_added_under(&self, issue: &str, key: &str) -> Result<Option<Comment>, Error> {
        let newest = self.comments(issue, SEARCHED).await?;
        let found = self.with_properties(newest).await?;
        Ok(found.into_iter().find(|comment| comment.once_key() == Some(key)))
    }

    /// The same comments with their properties, which only this call gives.
    async fn with_properties(&self, mut comments: Vec<Comment>) -> Result<Vec<Comment>, Error> {
        for comments in comments.chunks_mut(SEARCHED) {
            let ids: Vec<u64> = comments
                .iter()
                .filter_map(|comment| comment.id.parse().ok())
                .collect();
            let call = Call {
                query: &[("expand", "properties")],
                ..Call::new(Method::POST, &["rest", "api", "3", "comment", "list"])
            };
            let call = call.body(json!({ "ids": ids }));
            let found: Found = self.call("get the properties of comments", call).await?.json()?;
            for one in found.values {
                if let Some(comment) = comments.iter_mut().find(|comment| comment.id == one.id) {
                    comment.properties = one.properties;
                }
            }
        }
        Ok(comments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(more: Value) -> Comment {
        let mut comment = json!({ "id": "1", "body": { "type": "doc", "version": 1, "content": [] } });
        let object = comment.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        serde_json::from_value(comment).unwrap()
    }

    #[test]
    fn tells_what_customers_do_not_see() {
        assert!(!comment(json!({})).is_internal());
        assert!(!comment(json!({ "jsdPublic": true })).is_internal());
        assert!(comment(json!({ "jsdPublic": false })).is_internal());
        assert!(
            comment(json!({ "visibility": { "type": "role", "value": "Administrators" } })).is_internal()
        );
        let marked = json!({ "properties": [{ "key": "sd.public.comment", "value": { "internal": true } }] });
        assert!(comment(marked).is_internal());
    }

    #[test]
    fn an_internal_comment_is_marked_as_one() {
        let public = NewComment::text("hello", Visibility::Public).to_json();
        assert_eq!(public["properties"], json!([]));
        let internal = NewComment::text("hello", Visibility::Internal).property("a", json!(1));
        assert_eq!(
            internal.to_json()["properties"],
            json!([
                { "key": "a", "value": 1 },
                { "key": "sd.public.comment", "value": { "internal": true } }
            ])
        );
    }
}
