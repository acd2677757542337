//! `segno keys`: what waits on routes with flow control, and what people do about it.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{api::Api, output::Output};

/// List the keys of routes with flow control, and release, pause or resume them.
#[derive(Debug, Args)]
pub(super) struct Keys {
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
    /// List keys with events that wait or run, and those that are parked or paused.
    List(List),
    /// Let the events of a parked key go on without the one that failed.
    Release(Named),
    /// Pause a key: its events are taken in and wait.
    Pause(Named),
    /// Let a paused key go on.
    Resume(Named),
}

#[derive(Debug, Args)]
struct List {
    /// Only keys of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only keys that are parked.
    #[arg(long)]
    parked: bool,
}

#[derive(Debug, Args)]
struct Named {
    /// The key.
    #[arg(value_name = "KEY")]
    key: String,
    /// Its route.
    #[arg(long, value_name = "NAME")]
    route: String,
}

impl Keys {
    pub(super) async fn run(self) -> miette::Result<()> {
        match &self.command {
            Command::List(list) => self.list(list).await,
            Command::Release(named) => {
                self.change("release", named, "is released", "was not parked")
                    .await
            }
            Command::Pause(named) => {
                self.change("pause", named, "is paused", "was paused already")
                    .await
            }
            Command::Resume(named) => self.change("resume", named, "goes on", "was not paused").await,
        }
    }

    async fn list(&self, list: &List) -> miette::Result<()> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = Vec::new();
            query.extend(list.route.clone().map(|route| ("route", route)));
            query.extend(list.parked.then(|| ("parked", "true".to_owned())));
            query.extend(token.map(|token| ("page_token", token)));
            let page = self.api.call(Method::GET, &["keys"], &query, None).await?;
            keys.extend(page["keys"].as_array().cloned().unwrap_or_default());
            token = page["next_page_token"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        self.output
            .show(&keys, |out| keys.iter().try_for_each(|key| table(key, out)))
    }

    async fn change(&self, verb: &str, named: &Named, done: &str, already: &str) -> miette::Result<()> {
        let body = json!({ "route": named.route, "key": named.key });
        let answer = self
            .api
            .call(Method::POST, &["keys", verb], &[], Some(&body))
            .await?;
        let what = if answer["changed"] == true { done } else { already };
        self.output.show(&answer, |out| {
            writeln!(out, "{:?} of {} {what}", named.key, named.route)
        })
    }
}

/// One key as a line or two.
fn table(key: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let running = key["running"].as_array().map_or(0, Vec::len);
    let (route, name) = (text(&key["route"]), text(&key["key"]));
    write!(
        out,
        "{route}  {name:?}  {} waiting, {running} running",
        key["waiting"]
    )?;
    if let Some(since) = key["since"].as_str() {
        write!(out, ", the first since {since}")?;
    }
    if let Some(since) = key["paused"].as_str() {
        write!(out, ", paused since {since}")?;
    }
    writeln!(out)?;
    if let Some(parked) = key.get("parked") {
        writeln!(
            out,
            "    parked behind {}: {}",
            text(&parked["by"]),
            text(&parked["cause"])
        )?;
    }
    Ok(())
}
