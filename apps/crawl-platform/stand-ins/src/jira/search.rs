//! Searches by a small part of JQL: `NAME = VALUE` for project, key, status, labels and issuetype, joined by `AND`; an `ORDER
//! BY` is read over, and the newest come first.

use axum::{Json, extract::State};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Refused, Shared, body, issues,
    state::{Issue, Site},
};
use crate::control::lock;

pub(super) async fn search(State(site): State<Shared>, bytes: Bytes) -> Result<Json<Value>, Refused> {
    let given = body(&bytes)?;
    let jql = given["jql"].as_str().unwrap_or_default();
    let conditions = parse(jql)?;
    let size = given["maxResults"].as_u64().unwrap_or(50).clamp(1, 100);
    let size = usize::try_from(size).unwrap_or(1);
    let start: usize = match given["nextPageToken"].as_str() {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| Refused::new(400, "The provided next page token is invalid."))?,
    };
    // Without this, ids alone.
    let fields = given["fields"].as_array().map(|fields| {
        let names: Vec<_> = fields.iter().filter_map(Value::as_str).collect();
        names.join(",")
    });
    let site = lock(&site);
    let found: Vec<_> = site
        .issues
        .values()
        .rev()
        .filter(|issue| conditions.iter().all(|condition| condition.fits(&site, issue)))
        .collect();
    let page: Vec<_> = found
        .iter()
        .skip(start)
        .take(size)
        .map(|issue| {
            let mut shown = site.show_issue(issue);
            issues::keep(&mut shown, Some(fields.as_deref().unwrap_or("id")));
            shown
        })
        .collect();
    let end = start + page.len();
    let mut answer = json!({ "issues": page, "isLast": end >= found.len() });
    if end < found.len() {
        answer["nextPageToken"] = json!(end.to_string());
    }
    Ok(Json(answer))
}

struct Condition {
    name: String,
    value: String,
}

impl Condition {
    fn fits(&self, site: &Site, issue: &Issue) -> bool {
        let shown = site.show_issue(issue);
        let fields = &shown["fields"];
        let is = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| text.eq_ignore_ascii_case(&self.value))
        };
        match self.name.as_str() {
            "project" => is(&fields["project"]["key"]),
            "key" => is(&shown["key"]),
            "status" => is(&fields["status"]["name"]),
            "issuetype" => is(&fields["issuetype"]["name"]),
            _ => fields["labels"]
                .as_array()
                .is_some_and(|labels| labels.iter().any(is)),
        }
    }
}

fn parse(jql: &str) -> Result<Vec<Condition>, Refused> {
    let lower = jql.to_ascii_lowercase();
    let conditions = &jql[..lower.find("order by").unwrap_or(jql.len())];
    // The service wants a search to be bounded.
    if conditions.trim().is_empty() {
        return Err(Refused::new(
            400,
            "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
        ));
    }
    let mut rest = conditions.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let wrong = || Refused::new(400, &format!("Error in the JQL Query: near '{rest}'"));
        let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
        let name = name.trim().to_ascii_lowercase();
        if !["project", "key", "status", "issuetype", "labels"].contains(&name.as_str()) {
            return Err(Refused::new(
                400,
                &format!("Field '{name}' does not exist or you do not have permission to view it."),
            ));
        }
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        all.push(Condition {
            name,
            value: value.to_owned(),
        });
        let after = after.trim_start();
        rest = match after.get(..4) {
            _ if after.is_empty() => "",
            Some(and) if and.eq_ignore_ascii_case("and ") => after[4..].trim_start(),
            _ => return Err(wrong()),
        };
    }
    Ok(all)
}
