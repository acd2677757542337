//! `segno executions`: what runs and ran, and what people do to it.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use miette::miette;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api::Api,
    output::{self, Output, text},
    pages,
};

/// List executions, show one, and signal, cancel, terminate or reset it.
#[derive(Debug, Args)]
pub(super) struct Executions {
    #[command(flatten)]
    api: Api,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List executions, newest first.
    List(List),
    /// Show one: its actions, what it waits for, its result or failure.
    Show(Named),
    /// Print its history, event by event.
    History(Named),
    /// Send it a signal.
    Signal(Signal),
    /// Ask it to end; its workflow decides how.
    Cancel(End),
    /// End it at once, whatever it is at.
    Terminate(End),
    /// Have a new run go on from a point of its history.
    Reset(Reset),
}

#[derive(Debug, Args)]
struct List {
    /// A visibility query, such as "ExecutionStatus = 'Failed' AND SegnoRoute = 'orders'".
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Named {
    /// Id of the execution.
    id: String,
    /// One of its runs [default: the latest].
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
}

#[derive(Debug, Args)]
struct Signal {
    #[command(flatten)]
    named: Named,
    /// The signal.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it carries, as JSON.
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
}

#[derive(Debug, Args)]
struct End {
    #[command(flatten)]
    named: Named,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct Reset {
    #[command(flatten)]
    end: End,
    /// Number of the history event that ends the workflow task which is done anew.
    #[arg(long, value_name = "N")]
    event_id: i64,
}

impl Named {
    fn body(&self) -> Value {
        match &self.run_id {
            Some(run_id) => json!({ "run_id": run_id }),
            None => json!({}),
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        self.run_id.clone().map(|id| ("run_id", id)).into_iter().collect()
    }
}

impl End {
    fn body(&self) -> Value {
        let mut body = self.named.body();
        if let Some(reason) = &self.reason {
            body["reason"] = reason.as_str().into();
        }
        body
    }
}

impl Executions {
    pub(super) async fn run(self) -> miette::Result<()> {
        match &self.command {
            Command::List(list) => {
                let query: Vec<_> = list
                    .query
                    .clone()
                    .map(|query| ("query", query))
                    .into_iter()
                    .collect();
                let listed = pages::fetch(
                    &self.api,
                    &["executions"],
                    "executions",
                    "page_size",
                    &query,
                    list.limit,
                )
                .await?;
                self.output.show(&listed, |out| print_list(&listed, out))
            }
            Command::Show(named) => {
                let path = ["executions", named.id.as_str()];
                let one = self.api.call(Method::GET, &path, &named.query(), None).await?;
                self.output.show(&one, |out| print_one(&one, out))
            }
            Command::History(named) => {
                let path = ["executions", named.id.as_str(), "history"];
                let events = pages::fetch(
                    &self.api,
                    &path,
                    "events",
                    "page_size",
                    &named.query(),
                    usize::MAX,
                )
                .await?;
                self.output.show(&events, |out| print_history(&events, out))
            }
            Command::Signal(signal) => {
                let mut body = signal.named.body();
                body["name"] = signal.name.as_str().into();
                if let Some(input) = &signal.input {
                    body["input"] = serde_json::from_str(input).map_err(|error| {
                        miette!("--input is not JSON: {error}; a text is '\"in quotes\"'")
                    })?;
                }
                self.tell(&signal.named.id, "signal", &body, "has the signal")
                    .await
            }
            Command::Cancel(end) => {
                self.tell(&end.named.id, "cancel", &end.body(), "is asked to end")
                    .await
            }
            Command::Terminate(end) => {
                self.tell(&end.named.id, "terminate", &end.body(), "is terminated")
                    .await
            }
            Command::Reset(reset) => {
                let mut body = reset.end.body();
                body["event_id"] = reset.event_id.into();
                self.tell(&reset.end.named.id, "reset", &body, "goes on from there")
                    .await
            }
        }
    }

    async fn tell(&self, id: &str, verb: &str, body: &Value, done: &str) -> miette::Result<()> {
        let told = self
            .api
            .call(Method::POST, &["executions", id, verb], &[], Some(body))
            .await?;
        self.output.show(&told, |out| {
            write!(out, "{id} {done}")?;
            match told["run_id"].as_str() {
                Some(run) => writeln!(out, " (run {run})"),
                None => writeln!(out),
            }
        })
    }
}

/// Executions as a table: of events, timers and whatever else there is.
pub(super) fn print_list(executions: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![
        ["STATUS", "STARTED", "TYPE", "EXECUTION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(executions.iter().map(|execution| {
        let ty = execution["event_type"].as_str().or(execution["type"].as_str());
        vec![
            text(&execution["status"]),
            text(&execution["start_time"]),
            output::one_line(ty.unwrap_or_default()),
            text(&execution["workflow_id"]),
        ]
    }));
    output::columns(&rows, out)
}

fn print_one(one: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", text(&one["workflow_id"]))?;
    for (label, name) in [
        ("run", "run_id"),
        ("type", "type"),
        ("status", "status"),
        ("started", "start_time"),
        ("closed", "close_time"),
        ("route", "route"),
        ("event", "event_type"),
        ("waits", "waits"),
    ] {
        if let Some(value) = one[name].as_str() {
            writeln!(out, "  {label:8} {}", output::one_line(value))?;
        }
    }
    for action in one["story"].as_array().into_iter().flatten() {
        write!(
            out,
            "  action   {} {}",
            text(&action["action"]),
            text(&action["state"])
        )?;
        match action["reason"].as_str() {
            Some(reason) => writeln!(out, ": {}", output::one_line(reason))?,
            None => writeln!(out)?,
        }
    }
    if let Some(failure) = one["failure"]["message"].as_str() {
        writeln!(out, "  failure  {}", output::one_line(failure))?;
    }
    Ok(())
}

fn print_history(events: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            vec![
                event["id"].to_string(),
                text(&event["time"]),
                text(&event["type"]),
            ]
        })
        .collect();
    output::columns(&rows, out)
}
