//! `segno dead-letters`: what failed for good, and what to do about it.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, WrapErr, miette};
use reqwest::Method;
use serde_json::{Value, json};

use super::{api::Api, event_filter::EventFilter, output::Output, pages, progress};

/// List dead letters, and retry, skip or resolve them.
#[derive(Debug, Args)]
pub(super) struct DeadLetters {
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
    /// List them, those that failed last first.
    List(List),
    /// Show one, with its event and what failed.
    Show {
        /// Its id, as in the list.
        id: String,
    },
    /// Run one again: the actions that failed, unless asked otherwise.
    Retry(Retry),
    /// Give one up: nothing more of it will run.
    Skip(Decide),
    /// Mark one as dealt with elsewhere; `--note` says how.
    Resolve(Decide),
    /// Decide about all that a filter finds.
    Bulk(Box<Bulk>),
}

#[derive(Debug, Args)]
struct Bulk {
    /// What to do with them.
    #[arg(value_parser = ["retry", "skip", "resolve"])]
    action: String,
    #[command(flatten)]
    filter: Filter,
    /// Id of the operation: the same command again finds the operation that it began [default: a new one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// How many are done in a second at most.
    #[arg(long, value_name = "RATE")]
    per_second: Option<f64>,
    /// Of retry: run the routes as they are configured now.
    #[arg(long)]
    current_route: bool,
    /// Of retry: run all actions, and not only those that failed.
    #[arg(long)]
    all_actions: bool,
    /// Wait until all is done, and show how far it is.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    why: Why,
}

impl Bulk {
    fn body(&self) -> Value {
        let mut body = self.why.body();
        body["action"] = self.action.as_str().into();
        body["filter"] = json!({});
        for (name, value) in self.filter.parameters() {
            body["filter"][name] = value.into();
        }
        if let Some(id) = &self.id {
            body["id"] = id.as_str().into();
        }
        if let Some(rate) = self.per_second {
            body["per_second"] = rate.into();
        }
        body["current_route"] = self.current_route.into();
        body["all_actions"] = self.all_actions.into();
        body
    }
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    events: EventFilter,
    /// Failed at this time or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Failed before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A visibility query besides.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
}

impl Filter {
    /// What is given of it, by its name in the API.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let others = [
            ("route", self.route.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
            ("query", self.query.as_deref()),
        ];
        let all = self.events.attributes().into_iter().chain(others);
        all.filter_map(|(name, value)| Some((name, value?.to_owned())))
            .collect()
    }
}

#[derive(Debug, Args)]
struct Decide {
    /// Its id, as in the list.
    id: String,
    #[command(flatten)]
    why: Why,
}

/// What is said about a decision.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Who decides [default: the user's name].
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Debug, Args)]
struct Retry {
    #[command(flatten)]
    decide: Decide,
    /// File with another payload as JSON, in place of the event's data; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    data: Option<PathBuf>,
    /// File with another event as CloudEvents JSON, of the same id and source; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Run the route as it is configured now, and not as it was when the event was taken in.
    #[arg(long)]
    current_route: bool,
    /// Run all actions, and not only those that failed.
    #[arg(long)]
    all_actions: bool,
}

impl DeadLetters {
    pub(super) async fn run(self) -> miette::Result<()> {
        let Self { api, output, command } = self;
        match command {
            Command::List(list) => {
                let listed = list.fetch(&api).await?;
                output.show(&listed, |out| print_list(&listed, out))
            }
            Command::Show { id } => {
                let letter = api.call(Method::GET, &["dead-letters", &id], &[], None).await?;
                output.show(&letter, |out| print_one(&letter, out))
            }
            Command::Retry(retry) => {
                let body = retry.body()?;
                decide(&api, output, &retry.decide.id, "retry", &body).await
            }
            Command::Skip(skip) => decide(&api, output, &skip.id, "skip", &skip.why.body()).await,
            Command::Bulk(bulk) => {
                let begun = api
                    .call(Method::POST, &["dead-letters", "bulk"], &[], Some(&bulk.body()))
                    .await?;
                let id = text(&begun["id"]);
                let shown = if bulk.wait {
                    progress::until_closed(&api, &["dead-letters", "bulk", &id]).await?
                } else {
                    begun
                };
                output.show(&shown, |out| print_bulk(&shown, out))
            }
            Command::Resolve(resolve) => {
                decide(&api, output, &resolve.id, "resolve", &resolve.why.body()).await
            }
        }
    }
}

impl List {
    /// As many as are asked for, page after page.
    async fn fetch(&self, api: &Api) -> miette::Result<Vec<Value>> {
        let query = self.filter.parameters();
        pages::fetch(
            api,
            &["dead-letters"],
            "dead_letters",
            "page_size",
            &query,
            self.limit,
        )
        .await
    }
}

impl Why {
    pub(super) fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(by) = &self.by {
            body["by"] = by.as_str().into();
        }
        if let Some(note) = &self.note {
            body["note"] = note.as_str().into();
        }
        body
    }
}

impl Retry {
    fn body(&self) -> miette::Result<Value> {
        let mut body = self.decide.why.body();
        body["current_route"] = self.current_route.into();
        body["all_actions"] = self.all_actions.into();
        for (name, path) in [("data", &self.data), ("event", &self.event)] {
            if let Some(path) = path {
                body[name] = read_json(path)?;
            }
        }
        Ok(body)
    }
}

fn read_json(path: &PathBuf) -> miette::Result<Value> {
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text
        .into_diagnostic()
        .wrap_err_with(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).map_err(|error| miette!("{} is not JSON: {error}", path.display()))
}

async fn decide(api: &Api, output: Output, id: &str, verb: &str, body: &Value) -> miette::Result<()> {
    let decided = api
        .call(Method::POST, &["dead-letters", id, verb], &[], Some(body))
        .await?;
    output.show(&decided, |out| {
        let message = decided["message"].as_str().unwrap_or_default();
        writeln!(out, "{id}: {message} (run {})", text(&decided["run_id"]))
    })
}

fn print_bulk(bulk: &Value, out: &mut dyn Write) -> io::Result<()> {
    let (id, state) = (text(&bulk["id"]), text(&bulk["state"]));
    write!(out, "bulk {id}: {state}")?;
    for (name, count) in bulk["progress"].as_object().into_iter().flatten() {
        if let Some(count) = count.as_u64() {
            write!(out, ", {count} {}", name.replace('_', " "))?;
        }
    }
    if state == "Running" {
        write!(
            out,
            "; how far it is: `segno dead-letters bulk … --id {id} --wait`"
        )?;
    }
    writeln!(out)
}

fn print_list(letters: &[Value], out: &mut dyn Write) -> io::Result<()> {
    if letters.is_empty() {
        return writeln!(out, "no dead letters");
    }
    for letter in letters {
        writeln!(
            out,
            "{}  {}  {}",
            text(&letter["failed_at"]),
            text(&letter["id"]),
            text(&letter["event"]["type"])
        )?;
        print_failed(letter, out)?;
    }
    Ok(())
}

fn print_one(letter: &Value, out: &mut dyn Write) -> io::Result<()> {
    let event = &letter["event"];
    writeln!(out, "{}", text(&letter["id"]))?;
    writeln!(out, "  route    {}", text(&letter["route"]))?;
    writeln!(
        out,
        "  event    {} {} from {}",
        text(&event["type"]),
        text(&event["id"]),
        text(&event["source"])
    )?;
    if !event["subject"].is_null() {
        writeln!(out, "  subject  {}", text(&event["subject"]))?;
    }
    writeln!(out, "  run      {}", text(&letter["run_id"]))?;
    writeln!(
        out,
        "  failed   {}, {} time(s)",
        text(&letter["failed_at"]),
        letter["failures"]
    )?;
    print_failed(letter, out)?;
    for done in letter["done"].as_array().into_iter().flatten() {
        writeln!(out, "    {} is done", text(done))?;
    }
    writeln!(out, "  {}", letter["cloud_event"])
}

fn print_failed(letter: &Value, out: &mut dyn Write) -> io::Result<()> {
    for failed in letter["failed"].as_array().into_iter().flatten() {
        let (action, error) = (text(&failed["action"]), text(&failed["error"]));
        match failed["attempts"].as_u64() {
            None | Some(0) => writeln!(out, "    {action}: {error}")?,
            Some(1) => writeln!(out, "    {action}, 1 attempt: {error}")?,
            Some(attempts) => writeln!(out, "    {action}, {attempts} attempts: {error}")?,
        }
    }
    Ok(())
}

/// A text, without what would garble a terminal.
fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
