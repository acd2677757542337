//! `segno schedules`: what starts executions at times.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api::Api,
    output::{self, Output, text},
    pages,
};

/// List schedules, pause them, and have them start what they start now or for times that have passed.
#[derive(Debug, Args)]
pub(super) struct Schedules {
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
    /// List them: those of routes, and others of the engine.
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one: its times, the next and the latest, and what became of what it started.
    Show(Which),
    /// Hold one up: it starts nothing until it is resumed.
    Pause(Noted),
    /// Let one go on.
    Resume(Noted),
    /// Start what one starts now, whether it is paused or not.
    Trigger(Which),
    /// Start now, one after the other, what was due between two times.
    Backfill {
        #[command(flatten)]
        which: Which,
        /// From this time, such as 2026-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: String,
        /// Until this time.
        #[arg(long, value_name = "TIME")]
        until: String,
    },
}

/// One schedule.
#[derive(Debug, Args)]
struct Which {
    /// Its id, as in the list: of a route's schedule `segno-route/ROUTE`.
    id: String,
}

#[derive(Debug, Args)]
struct Noted {
    #[command(flatten)]
    which: Which,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Noted {
    fn body(&self) -> Value {
        json!({ "note": self.note })
    }
}

impl Schedules {
    pub(super) async fn run(self) -> miette::Result<()> {
        match &self.command {
            Command::List { limit } => {
                let listed =
                    pages::fetch(&self.api, &["schedules"], "schedules", "page_size", &[], *limit).await?;
                self.output.show(&listed, |out| {
                    let rows: Vec<_> = listed.iter().map(row).collect();
                    output::columns(&rows, out)
                })
            }
            Command::Show(Which { id }) => {
                let shown = self.api.call(Method::GET, &["schedules", id], &[], None).await?;
                self.output.show(&shown, |out| print(&shown, out))
            }
            Command::Pause(noted) => {
                self.tell(&noted.which, "pause", Some(noted.body()), "is paused")
                    .await
            }
            Command::Resume(noted) => {
                self.tell(&noted.which, "resume", Some(noted.body()), "goes on")
                    .await
            }
            Command::Trigger(which) => self.tell(which, "trigger", None, "is triggered").await,
            Command::Backfill { which, from, until } => {
                let body = json!({ "from": from, "until": until });
                self.tell(which, "backfill", Some(body), "starts what was due")
                    .await
            }
        }
    }

    async fn tell(
        &self,
        Which { id }: &Which,
        what: &str,
        body: Option<Value>,
        done: &str,
    ) -> miette::Result<()> {
        let path = ["schedules", id, what];
        let told = self.api.call(Method::POST, &path, &[], body.as_ref()).await?;
        self.output.show(&told, |out| writeln!(out, "{id} {done}"))
    }
}

fn row(schedule: &Value) -> Vec<String> {
    vec![
        state(schedule).to_owned(),
        text(&schedule["next"][0]),
        text(&schedule["id"]),
        times(schedule),
    ]
}

fn state(schedule: &Value) -> &'static str {
    match schedule["paused"] == true {
        true => "paused",
        false => "active",
    }
}

/// Its times in words, with their time zone.
fn times(schedule: &Value) -> String {
    let times = schedule["times"].as_array().into_iter().flatten().map(text);
    let times = times.collect::<Vec<_>>().join("; ");
    match schedule["time_zone"].as_str().unwrap_or_default() {
        "" => times,
        zone => format!("{times} ({})", output::one_line(zone)),
    }
}

fn print(schedule: &Value, out: &mut dyn Write) -> io::Result<()> {
    let id = text(&schedule["id"]);
    writeln!(out, "{id}  {}  {}", state(schedule), times(schedule))?;
    let note = text(&schedule["note"]);
    if !note.is_empty() {
        writeln!(out, "  note     {note}")?;
    }
    writeln!(out, "  starts   {}", text(&schedule["workflow_type"]))?;
    writeln!(
        out,
        "  so far   {} started, {} skipped, {} missed",
        schedule["started"], schedule["skipped"], schedule["missed"]
    )?;
    for next in schedule["next"].as_array().into_iter().flatten() {
        writeln!(out, "  next     {}", text(next))?;
    }
    for recent in schedule["recent"].as_array().into_iter().flatten() {
        let [due, status, workflow] = ["due", "status", "workflow_id"].map(|name| text(&recent[name]));
        writeln!(out, "  recent   {due}  {status}  {workflow}")?;
    }
    Ok(())
}
