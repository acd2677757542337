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
            writeln!(
                out,
                "      {}: {}, {} attempt(s)",
                text(&action["name"]),
                text(&action["state"]),
                action["attempts"]
            )?;
        }
    }
    for route in list(&story["routes"]) {
        if let Some(why) = route["why"].as_str() {
            writeln!(out, "  route {}: {}", text(&route["route"]), one_line(why))?;
        }
    }
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
