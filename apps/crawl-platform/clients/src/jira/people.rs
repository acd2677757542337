//! Who has to do with an issue.

use serde::Deserialize;

use crate::Error;

use super::{Jira, Page};

/// Longest list of participants that is read.
const PARTICIPANTS: usize = 1_000;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// What the account is known by.
    pub account_id: String,
    /// The person's name.
    #[serde(default)]
    pub display_name: String,
    /// The mail address, where the account shows it to the client.
    #[serde(default)]
    pub email_address: Option<String>,
    /// Whether the account can be used.
    #[serde(default = "yes")]
    pub active: bool,
    /// `atlassian`, `customer` (of a service desk) or `app`, where the service says it.
    #[serde(default)]
    pub account_type: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Watchers {
    #[serde(default)]
    watchers: Vec<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Participants {
    values: Vec<User>,
    is_last_page: bool,
}

impl Page for Participants {
    type Item = User;
    const START: &str = "start";
    const SIZE: &str = "limit";

    fn into_items(self, _: usize) -> (Vec<User>, bool) {
        (self.values, !self.is_last_page)
    }
}

impl Jira {
    /// The watchers of an issue.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is an issue that is not there.
    pub async fn watchers(&self, issue: &str) -> Result<Vec<User>, Error> {
        let path = ["rest", "api", "3", "issue", issue, "watchers"];
        let list: Watchers = self.get("list the watchers of an issue", &path, &[]).await?;
        Ok(list.watchers)
    }

    /// The participants of a request of a service desk. An issue that is no request has none.
    ///
    /// # Errors
    ///
    /// [`Error`]. An issue that is not there is not told from one that is no request, as the service does not either.
    pub async fn participants(&self, issue: &str) -> Result<Vec<User>, Error> {
        let path = ["rest", "servicedeskapi", "request", issue, "participant"];
        let listed = self
            .list::<Participants>("list the participants of a request", &path, &[], PARTICIPANTS)
            .await;
        match listed {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            other => other,
        }
    }

    /// An account by its id, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn user(&self, account_id: &str) -> Result<Option<User>, Error> {
        let query = [("accountId", account_id)];
        match self
            .get("get a user", &["rest", "api", "3", "user"], &query)
            .await
        {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The account that the client acts as.
    ///
    /// # Errors
    ///
    /// [`Error`]; 401 are credentials that the service does not take.
    pub async fn myself(&self) -> Result<User, Error> {
        self.get("say who the client is", &["rest", "api", "3", "myself"], &[])
            .await
    }
}
