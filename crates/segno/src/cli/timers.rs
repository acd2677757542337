//! `segno timers`: URLs that are called at a time.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api::Api,
    output::{self, Output, text},
    pages,
};

/// Set, list, move and cancel timers.
#[derive(Debug, Args)]
pub(super) struct Timers {
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
    /// List timers, the latest made first.
    List(List),
    /// Set one.
    Set(Set),
    /// Show how long it is until it fires.
    Show { id: String },
    /// Move its deadline to this time from now.
    Move {
        /// Id of the timer.
        id: String,
        #[command(flatten)]
        after: After,
    },
    /// Cancel one.
    Cancel { id: String },
    /// List the attempts to call its URL.
    Deliveries { id: String },
}

#[derive(Debug, Args)]
struct List {
    /// Those that stand so: pending, firing, fired, failed or canceled.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Set {
    /// The URL that is called.
    #[arg(value_name = "URL")]
    target: String,
    #[command(flatten)]
    after: After,
    /// The same key and timer again find the one that was made before.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// A time from now; the parts add up.
#[derive(Debug, Args)]
struct After {
    /// Hours from now.
    #[arg(long, default_value_t = 0)]
    hours: u64,
    /// Minutes from now.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Seconds from now.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
}

impl After {
    fn body(&self) -> Value {
        json!({ "hours": self.hours, "minutes": self.minutes, "seconds": self.seconds })
    }
}

impl Timers {
    pub(super) async fn run(self) -> miette::Result<()> {
        let api = &self.api;
        match &self.command {
            Command::List(list) => {
                let query: Vec<_> = list
                    .status
                    .clone()
                    .map(|status| ("status", status))
                    .into_iter()
                    .collect();
                let timers = pages::fetch(api, &["timers"], "timers", "limit", &query, list.limit).await?;
                self.output.show(&timers, |out| {
                    let row = |timer: &Value| {
                        ["status", "deadline", "id", "origin"]
                            .map(|name| text(&timer[name]))
                            .to_vec()
                    };
                    output::columns(&timers.iter().map(row).collect::<Vec<_>>(), out)
                })
            }
            Command::Set(set) => {
                let mut body = set.after.body();
                body["url"] = set.target.as_str().into();
                let made = api.make(&["timers"], &body, set.key.as_deref()).await?;
                self.output
                    .show(&made, |out| writeln!(out, "{}", text(&made["id"])))
            }
            Command::Show { id } => {
                let left = api.call(Method::GET, &["timers", id], &[], None).await?;
                self.output
                    .show(&left, |out| writeln!(out, "{id}: {} s left", left["time_left"]))
            }
            Command::Move { id, after } => {
                let path = ["timers", id, "deadline"];
                let left = api.call(Method::PUT, &path, &[], Some(&after.body())).await?;
                self.output
                    .show(&left, |out| writeln!(out, "{id}: {} s left", left["time_left"]))
            }
            Command::Cancel { id } => {
                api.call(Method::DELETE, &["timers", id], &[], None).await?;
                let done = json!({ "id": id, "cancelled": true });
                self.output.show(&done, |out| writeln!(out, "{id} is cancelled"))
            }
            Command::Deliveries { id } => {
                let answer = api
                    .call(Method::GET, &["timers", id, "deliveries"], &[], None)
                    .await?;
                self.output.show(&answer, |out| {
                    let attempts = answer["attempts"].as_array().into_iter().flatten();
                    let row = |one: &Value| {
                        let outcome = match (one["status_code"].as_u64(), one["error"].as_str()) {
                            (_, Some(error)) => output::one_line(error),
                            (Some(status), None) => format!("answered {status}"),
                            (None, None) => "not known".to_owned(),
                        };
                        vec![one["attempt"].to_string(), text(&one["at"]), outcome]
                    };
                    output::columns(&attempts.map(row).collect::<Vec<_>>(), out)
                })
            }
        }
    }
}
