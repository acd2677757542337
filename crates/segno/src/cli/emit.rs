//! `segno emit`: events from files and standard input, to a Segno that runs.

mod input;
mod send;
mod wrap;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use miette::{IntoDiagnostic, WrapErr, miette};
use reqwest::Url;
use serde_json::json;

use self::{
    input::{Input, Item},
    send::{Sender, Sent},
    wrap::Wrap,
};
use super::{
    Credentials,
    output::{self, Output},
};

/// What was wrong with some of the input; the rest was taken in.
const REFUSED: u8 = 1;
/// Not everything was sent: the server took nothing for too long.
const UNSENT: u8 = 3;
/// Most refusals that are listed; all are counted.
const LISTED: usize = 1_000;

/// Send events from files or standard input to a running Segno.
///
/// The input is JSON: an event a line, a list of events, or events one after the other. An event that was taken in before
/// starts nothing, so the same command can be given again after any interruption.
///
/// Exit codes: 0 if every event was taken in, 1 if some of the input was refused, 3 if not all of it could be sent.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Files to read; `-` is standard input, which is also read where none is named.
    files: Vec<PathBuf>,
    /// The running Segno.
    #[arg(
        long,
        value_name = "URL",
        env = "SEGNO_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: Url,
    #[command(flatten)]
    credentials: Credentials,
    /// Type of the events that are made of JSON which is none. Their ids are digests of it: the same value is
    /// the same event, but for its place among equal ones.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Source of the events that name none.
    #[arg(long, value_name = "URI", default_value = "/segno/emit")]
    source: String,
    /// A jq expression from a value of the input to events.
    #[arg(long, value_name = "JQ", conflicts_with = "ty")]
    map: Option<String>,
    /// Most events of one request.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    /// How long to go on trying while the server takes nothing.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What became of the input.
#[derive(Debug, Default)]
struct Tally {
    sent: Sent,
    refused: usize,
    /// The first of them: where they are and what is wrong.
    refusals: Vec<(String, String)>,
    /// Why the rest was not sent.
    unsent: Option<String>,
}

impl Tally {
    fn refuse(&mut self, at: String, reason: String) {
        self.refused += 1;
        if self.refusals.len() < LISTED {
            self.refusals.push((at, reason));
        }
    }
}

impl Args {
    pub(super) async fn run(self) -> miette::Result<ExitCode> {
        let wrap = Wrap::new(self.ty.clone(), self.source.clone(), self.map.as_deref())
            .map_err(|error| miette!("--map is no jq expression: {error}"))?;
        let sender = Sender::new(&self.url, &self.credentials, self.patience)?;
        let files = match self.files.is_empty() {
            true => vec![PathBuf::from("-")],
            false => self.files.clone(),
        };
        let mut tally = Tally::default();
        let mut progress = Progress::new();
        for file in files {
            let input = Input::open(&file)
                .into_diagnostic()
                .wrap_err_with(|| format!("{} cannot be read", file.display()))?;
            self.file(input, &wrap, &sender, &mut tally, &mut progress)
                .await?;
            if tally.unsent.is_some() {
                break;
            }
        }
        progress.end();
        output::to_stdout(|out| self.print(&tally, out))?;
        Ok(ExitCode::from(match (&tally.unsent, tally.refused) {
            (Some(_), _) => UNSENT,
            (None, 0) => 0,
            (None, _) => REFUSED,
        }))
    }

    async fn file(
        &self,
        mut input: Input,
        wrap: &Wrap,
        sender: &Sender,
        tally: &mut Tally,
        progress: &mut Progress,
    ) -> miette::Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let item = input
                .next()
                .into_diagnostic()
                .wrap_err("the input cannot be read on")?;
            let end = item.is_none();
            let mut full = end;
            if let Some(Item { at, value }) = item {
                match value.and_then(|value| wrap.events(value)) {
                    Ok(events) => {
                        for event in events {
                            bytes += event.to_string().len();
                            batch.push((at.clone(), event));
                        }
                        full = batch.len() >= usize::from(self.batch) || bytes >= send::BYTES;
                    }
                    Err(reason) => tally.refuse(at, reason),
                }
            }
            if full && !batch.is_empty() {
                bytes = 0;
                sender.send(std::mem::take(&mut batch), tally).await;
                progress.tell(tally);
            }
            if end || tally.unsent.is_some() {
                return Ok(());
            }
        }
    }

    fn print(&self, tally: &Tally, out: &mut dyn Write) -> io::Result<()> {
        let Sent {
            new,
            known,
            unmatched,
        } = tally.sent;
        let refusals = tally
            .refusals
            .iter()
            .map(|(at, reason)| json!({"at": at, "reason": reason}));
        let mut report = json!({
            "taken": new + known + unmatched, "new": new, "known": known, "unmatched": unmatched,
            "refused": tally.refused, "refusals": refusals.collect::<Vec<_>>(),
        });
        if let Some(reason) = &tally.unsent {
            report["unsent"] = reason.as_str().into();
        }
        self.output.print(&report, out, |out| {
            for (at, reason) in &tally.refusals {
                writeln!(out, "{at}: {reason}")?;
            }
            if tally.refused > tally.refusals.len() {
                writeln!(out, "… and {} more", tally.refused - tally.refusals.len())?;
            }
            writeln!(
                out,
                "{} taken in ({new} new, {known} known, {unmatched} that no route matched), {} refused",
                new + known + unmatched,
                tally.refused
            )?;
            if let Some(reason) = &tally.unsent {
                writeln!(out, "not all was sent: {reason}; give the same command again")?;
            }
            Ok(())
        })
    }
}

/// A line on standard error that is written over and over, where that is a terminal.
struct Progress(bool);

impl Progress {
    fn new() -> Self {
        Self(io::stderr().is_terminal())
    }

    fn tell(&mut self, tally: &Tally) {
        if self.0 {
            let Sent {
                new,
                known,
                unmatched,
            } = tally.sent;
            let taken = new + known + unmatched;
            drop(write!(
                io::stderr(),
                "\r{taken} taken in, {} refused ",
                tally.refused
            ));
        }
    }

    fn end(&mut self) {
        if self.0 {
            drop(writeln!(io::stderr()));
        }
    }
}
