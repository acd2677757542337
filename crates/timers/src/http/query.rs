//! The query string of `GET /timers`.

use serde_json::Value;
use url::form_urlencoded;

use crate::{Issue, Query, Status};

/// Reads it, or says everything that is wrong with it.
pub(super) fn parse(query: &str) -> Result<Query, Vec<Issue>> {
    let (mut parsed, mut issues) = (Query::default(), Vec::new());
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = Value::from(text.as_ref());
        match key.as_ref() {
            "status" => {
                parsed.status = Status::ALL.into_iter().find(|status| status.name() == text);
                if parsed.status.is_none() {
                    issues.push(Issue::any_only("status", &value, &Status::ALL.map(Status::name)));
                }
            }
            "limit" => match text.parse() {
                Ok(0) => issues.push(Issue::too_small("limit", &value, 1)),
                Ok(limit @ 1..=1000) => parsed.limit = Some(limit),
                Ok(_) => issues.push(Issue::too_large("limit", &value, 1000)),
                Err(_) => issues.push(Issue::not_a_number("limit", &value)),
            },
            "page_token" => parsed.page_token = Some(text.into_owned()),
            unknown => issues.push(Issue::unknown(unknown, &value)),
        }
    }
    if issues.is_empty() {
        Ok(parsed)
    } else {
        Err(issues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_or_says_all() {
        let all = Query {
            status: Some(Status::Fired),
            limit: Some(7),
            page_token: Some("a b".to_owned()),
        };
        assert_eq!(parse("status=fired&limit=7&page_token=a%20b"), Ok(all));
        assert_eq!(parse(""), Ok(Query::default()));
        let kinds = |query| {
            parse(query)
                .unwrap_err()
                .into_iter()
                .map(|issue| issue.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kinds("status=gone&limit=0&other=1"),
            ["any.only", "number.min", "object.unknown"]
        );
        assert_eq!(kinds("limit=1001"), ["number.max"]);
        assert_eq!(kinds("limit=x&status="), ["number.base", "any.only"]);
    }
}
