//! Properties: JSON under a key, kept with an issue or a comment, which people do not see.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::Error;

use super::{Call, Jira, Property};

/// Properties by their keys.
pub type Properties = BTreeMap<String, Value>;

/// As a list of keys and values, which is how the service takes them with what they belong to.
pub(super) fn as_list(properties: &Properties) -> Value {
    let list = properties
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }));
    Value::Array(list.collect())
}

/// From that list, or from an object, which is how issues have them.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(Vec<Property>),
        Object(Properties),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(list) => list
            .into_iter()
            .map(|Property { key, value }| (key, value))
            .collect(),
        Either::Object(properties) => properties,
    })
}

impl Jira {
    /// A property of an issue, if it has it.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there.
    pub async fn issue_property(&self, issue: &str, key: &str) -> Result<Option<Value>, Error> {
        // Asked for with its issue, one that is missing is told from an issue that is.
        let query = [("fields", "summary"), ("properties", key)];
        let path = ["rest", "api", "3", "issue", issue];
        let mut found: super::Issue = self.get("get a property of an issue", &path, &query).await?;
        Ok(found.properties.remove(key))
    }

    /// Sets a property of an issue.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn set_issue_property(&self, issue: &str, key: &str, value: &Value) -> Result<(), Error> {
        let path = ["rest", "api", "3", "issue", issue, "properties", key];
        let call = Call::new(Method::PUT, &path).body(value.clone());
        self.call("set a property of an issue", call).await.map(drop)
    }

    /// Removes a property of an issue; one that is not there is removed.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn remove_issue_property(&self, issue: &str, key: &str) -> Result<(), Error> {
        let path = ["rest", "api", "3", "issue", issue, "properties", key];
        match self
            .call("remove a property of an issue", Call::new(Method::DELETE, &path))
            .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A property of a comment, if it has it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn comment_property(&self, comment: &str, key: &str) -> Result<Option<Value>, Error> {
        let path = ["rest", "api", "3", "comment", comment, "properties", key];
        match self
            .get::<Property>("get a property of a comment", &path, &[])
            .await
        {
            Ok(property) => Ok(Some(property.value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a property of a comment.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn set_comment_property(&self, comment: &str, key: &str, value: &Value) -> Result<(), Error> {
        let path = ["rest", "api", "3", "comment", comment, "properties", key];
        let call = Call::new(Method::PUT, &path).body(value.clone());
        self.call("set a property of a comment", call).await.map(drop)
    }
}
