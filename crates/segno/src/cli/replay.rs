//! `segno replay`: events of before, handled again.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use miette::miette;
use reqwest::Method;
use serde_json::{Value, json};

use super::{api::Api, dead_letters::Why, event_filter::EventFilter, output::Output, progress};

/// Have events that were taken in before handled again on chosen routes, in the order in which they came.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Replay {
    #[command(flatten)]
    api: Api,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    begin: Begin,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how far a replay is.
    Show(Id),
    /// Hold a replay up.
    Pause(Id),
    /// Let it go on.
    Resume(Id),
    /// Start nothing more of it.
    Cancel(Id),
}

#[derive(Debug, Args)]
struct Id {
    /// Id of the replay.
    id: String,
}

#[derive(Debug, Args)]
struct Begin {
    /// A route that handles the events, as it is configured now; can be given several times.
    #[arg(long = "route", value_name = "NAME")]
    routes: Vec<String>,
    /// Id of the replay: the same command again finds the replay that it began [default: a new one].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Taken in at this time or later, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Taken in before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[command(flatten)]
    events: EventFilter,
    /// A visibility query besides.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// How many executions are started in a second at most.
    #[arg(long, value_name = "RATE")]
    per_second: Option<f64>,
    /// Wait until all is done, and show how far it is.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Wait for the end of each execution before the next one is started.
    #[arg(long)]
    one_by_one: bool,
    /// Only show what would run, and what would differ from what ran then.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    why: Why,
}

impl Replay {
    pub(super) async fn run(self) -> miette::Result<()> {
        let Self {
            api,
            output,
            command,
            begin,
        } = self;
        let path =
            |id: &Id, verb: &str| -> Vec<String> { vec!["replays".into(), id.id.clone(), verb.into()] };
        let (method, path) = match &command {
            None => return begin.run(&api, output).await,
            Some(Command::Show(id)) => (Method::GET, vec!["replays".into(), id.id.clone()]),
            Some(Command::Pause(id)) => (Method::POST, path(id, "pause")),
            Some(Command::Resume(id)) => (Method::POST, path(id, "resume")),
            Some(Command::Cancel(id)) => (Method::POST, path(id, "cancel")),
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let replay = api.call(method, &path, &[], None).await?;
        print(&replay, output)
    }
}

impl Begin {
    async fn run(&self, api: &Api, output: Output) -> miette::Result<()> {
        if self.routes.is_empty() {
            return Err(miette!("say which routes handle the events: --route NAME"));
        }
        let mut body = self.why.body();
        let others = [
            ("id", self.id.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("query", self.query.as_deref()),
        ];
        for (name, text) in self.events.attributes().into_iter().chain(others) {
            if let Some(text) = text {
                body[name] = text.into();
            }
        }
        body["routes"] = json!(self.routes);
        body["one_by_one"] = self.one_by_one.into();
        body["dry_run"] = self.dry_run.into();
        if let Some(rate) = self.per_second {
            body["per_second"] = rate.into();
        }
        let mut answer = api.call(Method::POST, &["replays"], &[], Some(&body)).await?;
        if self.dry_run {
            return output.show(&answer, |out| dry_run(&answer, out));
        }
        if self.wait {
            let id = text(&answer["id"]).to_owned();
            answer = progress::until_closed(api, &["replays", &id]).await?;
        }
        print(&answer, output)
    }
}

fn print(replay: &Value, output: Output) -> miette::Result<()> {
    output.show(replay, |out| {
        let progress = &replay["progress"];
        write!(out, "replay {}: {}", text(&replay["id"]), text(&replay["state"]))?;
        if replay["changed"] == false {
            write!(out, " (it was begun before)")?;
        }
        match progress["events"].as_u64() {
            Some(events) => writeln!(
                out,
                ", {events} events, {} executions, {} events that no route takes",
                progress["executions"], progress["not_taken"]
            ),
            None => writeln!(out),
        }
    })
}

fn dry_run(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{} events: {} executions would run; {} new, {} the same, {} different; {} would not run any more",
        answer["events"],
        answer["would_run"],
        answer["new"],
        answer["same"],
        answer["different"],
        answer["not_taken_now"]
    )?;
    for execution in answer["executions"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "  {} {} {}: {}",
            text(&execution["route"]),
            text(&execution["source"]),
            text(&execution["event_id"]),
            text(&execution["would_be"])
        )?;
        for difference in execution["differences"].as_array().into_iter().flatten() {
            writeln!(out, "    {difference}")?;
        }
    }
    if let Some(next) = answer["next_from"].as_str() {
        writeln!(out, "There are more: go on with --from {next}")?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
