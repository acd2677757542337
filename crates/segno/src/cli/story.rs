//! `segno explain --source SOURCE --id ID`: what became of an event that was taken in.

use std::io::{self, Write};

use reqwest::Method;
use serde_json::Value;

use super::{
    Credentials,
    api::Api,
    output::{Output, one_line, text},
};

/// The event that is asked about.
pub(super) struct Asked {
    pub(super) source: String,
    pub(super) id: String,
    pub(super) api: Option<url::Url>,
    pub(super) credentials: Credentials,
    pub(super) output: Output,
}

impl Asked {
    pub(super) async fn run(self) -> miette::Result<()> {
        let Self {
            source,
            id,
            api,
            credentials,
            output,
        } = self;
        show(&Api::at(api, credentials)?, output, &source, &id).await
    }
}

/// Asks for the story of an event and prints it.
///
/// # Errors
/// When the API does not answer or knows no such event.
pub(super) async fn show(api: &Api, output: Output, source: &str, id: &str) -> miette::Result<()> {
    let story = api.call(Method::GET, &["events", source, id], &[], None).await?;
    output.show(&story, |out| print(&story, out))
}

fn print(story: &Value, out: &mut dyn Write) -> io::Result<()> {
    let event = &story["event"];
    writeln!(
        out,
        "{} {} from {}, taken in {}",
        text(&event["type"]),
        text(&event["id"]),
        text(&event["source"]),
        text(&story["accepted_at"])
    )?;
    if let Some(origin) = origin(&story["origin"]) {
        writeln!(out, "  came in {origin}")?;
    }
    for execution in list(&story["executions"]) {
        writeln!(out, "  {}", text(&execution["workflow_id"]))?;
        writeln!(out, "    {}", text(&execution["state"]))?;
        for run in list(&execution["runs"]) {
            write!(out, "    {} {}", text(&run["started_at"]), text(&run["status"]))?;
            let after = &run["after"];
            match (after["decision"].as_str(), after["by"].as_str()) {
                (Some(decision), Some(by)) => writeln!(out, ", {decision} by {by}")?,
                (Some(decision), None) => writeln!(out, ", {decision}")?,
                _ => writeln!(out)?,
            }
        }
        for action in list(&execution["actions"]) {
            let name = text(&action["name"]);
            match action["result"]["skipped"].as_str() {
                Some(why) => writeln!(out, "      {name}: skipped, {}", one_line(why))?,
                None => writeln!(
                    out,
                    "      {name}: {}, {} attempt(s)",
                    text(&action["state"]),
                    action["attempts"]
                )?,
            }
        }
    }
    for route in list(&story["routes"]) {
        if let Some(why) = route["why"].as_str() {
            writeln!(out, "  route {}: {}", text(&route["route"]), one_line(why))?;
        }
    }
    Ok(())
}

/// How it came in, and the row of an outbox that it was in before.
fn origin(origin: &Value) -> Option<String> {
    let by = match (origin["by"].as_str()?, origin["name"].as_str()) {
        ("http", _) => "over HTTP".to_owned(),
        ("schedule", _) => "by the schedule of its route".to_owned(),
        ("program", _) => "from the program itself".to_owned(),
        (by, name) => format!("by the {by} {}", name.unwrap_or_default()),
    };
    let row = &origin["row"];
    if row.is_null() {
        return Some(by);
    }
    Some(format!(
        "{by}: row {} of the outbox {}, written {}, relayed {}",
        row["position"],
        text(&row["outbox"]),
        text(&row["written_at"]),
        text(&row["relayed_at"])
    ))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(mut story: Value) -> String {
        story["event"] = json!({ "type": "t", "id": "1", "source": "/s" });
        let mut out = Vec::new();
        print(&story, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn where_it_came_from_is_told_as_far_as_it_is_known() {
        let first = "t 1 from /s, taken in \n";
        assert_eq!(printed(json!({})), first);
        let http = printed(json!({ "origin": { "by": "http" } }));
        assert_eq!(http, format!("{first}  came in over HTTP\n"));
        let row = json!({ "outbox": "orders", "position": 7, "written_at": "T1", "relayed_at": "T2" });
        let bus = printed(json!({ "origin": { "by": "source", "name": "bus", "row": row } }));
        assert_eq!(
            bus,
            format!(
                "{first}  came in by the source bus: row 7 of the outbox orders, written T1, relayed T2\n"
            )
        );
    }
}
