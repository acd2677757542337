//! `segno audit`: who has changed what.

use std::io::{self, Write};

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    api::Api,
    output::{self, Output},
};

/// Entries that are asked for at once.
const PAGE: usize = 500;

/// List the changes that people and programs have made, the newest first. This asks for the role admin.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    api: Api,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Only changes of this person or program.
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only changes of this kind, such as `POST /routes/{name}/pause`.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only changes on this path, such as `/routes/big-orders/pause`.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only changes at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only changes before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

impl Audit {
    pub(super) async fn run(self) -> miette::Result<()> {
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        while entries.len() < self.limit {
            let size = (self.limit - entries.len()).min(PAGE);
            let mut query = vec![("page_size", size.to_string())];
            let filters = [
                ("who", &self.who),
                ("action", &self.action),
                ("path", &self.path),
                ("since", &self.since),
                ("until", &self.until),
                ("page_token", &token),
            ];
            for (name, value) in filters {
                query.extend(value.clone().map(|value| (name, value)));
            }
            let page = self.api.call(Method::GET, &["audit"], &query, None).await?;
            entries.extend(page["entries"].as_array().cloned().unwrap_or_default());
            token = page["next_page_token"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        self.output.show(&entries, |out| {
            entries.iter().try_for_each(|entry| line(entry, out))
        })
    }
}

/// One entry as a line.
fn line(entry: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = |name: &str| output::one_line(entry[name].as_str().unwrap_or_default());
    let method = text("action");
    let method = method.split(' ').next().unwrap_or_default();
    let outcome = match (entry["outcome"]["result"].as_str(), &entry["outcome"]["status"]) {
        (Some("unknown"), _) => "nobody knows whether it was done".to_owned(),
        (Some(result), status) => format!("{result} ({status})"),
        (None, _) => "being done".to_owned(),
    };
    writeln!(
        out,
        "{}  {} ({}) from {}  {method} {}  {outcome}",
        text("time"),
        text("who"),
        text("role"),
        text("from"),
        text("path"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_one_line() {
        let entry = json!({
            "time": "2026-01-31T12:00:00Z", "who": "ann\u{1b}[31m\nb", "role": "operator", "from": "192.0.2.1",
            "action": "POST /routes/{name}/pause", "path": "/routes/orders/pause",
            "outcome": { "result": "done", "status": 200 },
        });
        let mut out = Vec::new();
        line(&entry, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-01-31T12:00:00Z  ann [31m b (operator) from 192.0.2.1  POST /routes/orders/pause  done (200)\n"
        );
    }
}
