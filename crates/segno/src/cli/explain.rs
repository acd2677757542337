//! `segno explain`: which routes an event takes, why not the others, and what would be delivered.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use segno_event::Event;
use segno_event::http::HttpError;
use segno_routing::{
    ActionExplanation, Explanation, FlowExplanation, HandlerExplanation, KeyExplanation, Outcome,
    TimingExplanation, Yields, explain,
};

use super::output::{self, Output};
use super::{Credentials, story::Asked};
use crate::config::{Code, Config, Mistake, Mistakes};

/// Show which routes an event takes, why not the others, and what would be delivered.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// File with the event as CloudEvents JSON, or with an array of events; `-` reads standard input.
    #[arg(value_name = "EVENT.json", required_unless_present = "id")]
    pub event: Option<PathBuf>,
    /// In place of a file: source of an event that was taken in, of which the running Segno tells what became of it.
    #[arg(long, value_name = "SOURCE", requires = "id", conflicts_with = "event")]
    pub source: Option<String>,
    /// Id of that event.
    #[arg(long, value_name = "ID", requires = "source", conflicts_with = "event")]
    pub id: Option<String>,
    /// Address of the running Segno's HTTP API [default: http://127.0.0.1:8080].
    #[arg(long, value_name = "URL", env = "SEGNO_API")]
    pub api: Option<url::Url>,
    #[command(flatten)]
    pub credentials: Credentials,
    /// Configuration file.
    #[arg(long, value_name = "FILE", env = "SEGNO_CONFIG", default_value = "segno.toml")]
    pub config: PathBuf,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

impl Args {
    /// The event that was taken in, if it is one that is asked about.
    pub(super) fn of_an_event_taken_in(&self) -> Option<Asked> {
        Some(Asked {
            source: self.source.clone()?,
            id: self.id.clone()?,
            api: self.api.clone(),
            credentials: self.credentials.clone(),
            output: self.output,
        })
    }

    /// The file with the events; where none is named, standard input.
    fn file(&self) -> &Path {
        self.event.as_deref().unwrap_or(Path::new("-"))
    }
}

/// Runs the command: exit code 0 whether or not any route takes the event.
///
/// # Errors
/// When the configuration or the event has mistakes, all of them; when standard output cannot be written.
pub fn run(args: Args) -> miette::Result<ExitCode> {
    let explanations = explanations(&args, &mut io::stdin())?;
    output::to_stdout(|out| print(&args, &explanations, out))?;
    Ok(ExitCode::SUCCESS)
}

/// The explanations of the events in the file that `args` names, or in `stdin`. One event that came alone, or a batch.
///
/// # Errors
/// Every mistake in the configuration, or every one in the events.
pub fn explanations(args: &Args, stdin: &mut dyn Read) -> Result<Explained, Mistakes> {
    let config = Config::load(&args.config)?;
    let (events, batch) = events(args, stdin)?;
    let explained: Vec<_> = events
        .iter()
        .map(|event| explain(&config.routes, event))
        .collect();
    Ok(Explained { explained, batch })
}

/// What the routes say to the events of a file.
#[derive(Clone, Debug)]
pub struct Explained {
    explained: Vec<Explanation>,
    /// Whether the events came in an array, and so the explanations go in one.
    batch: bool,
}

fn events(args: &Args, stdin: &mut dyn Read) -> Result<(Vec<Event>, bool), Mistakes> {
    let from_stdin = args.file().as_os_str() == "-";
    let name = if from_stdin {
        "standard input".to_owned()
    } else {
        args.file().display().to_string()
    };
    let mut body = Vec::new();
    let read = if from_stdin {
        stdin.read_to_end(&mut body).map(drop)
    } else {
        fs::read(args.file()).map(|bytes| body = bytes)
    };
    read.map_err(|error| Mistakes::unreadable(&name, &error.to_string()))?;
    let batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let content_type = if batch {
        "application/cloudevents-batch+json"
    } else {
        "application/cloudevents+json"
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    match segno_event::http::parse(&headers, &body) {
        Ok(events) => Ok((events, batch)),
        Err(error) => Err(mistakes(&name, &body, &error)),
    }
}

/// What is wrong with the events, each rule that is broken on its own.
fn mistakes(name: &str, body: &[u8], error: &HttpError) -> Mistakes {
    const HELP: &str =
        "an event has at least specversion (\"1.0\"), id, source and type; several events are an array";
    let text = String::from_utf8_lossy(body).into_owned();
    let mistakes = match error {
        HttpError::Invalid(events) => events
            .iter()
            .flat_map(|event| {
                event
                    .violations
                    .iter()
                    .map(move |violation| (event.index, violation))
            })
            .map(|(index, violation)| match index {
                Some(index) => Mistake::new(
                    Code::Event,
                    format!("event {index} of the array: {violation}"),
                    HELP,
                ),
                None => Mistake::new(Code::Event, violation.to_string(), HELP),
            })
            .collect(),
        other => {
            let mistake = Mistake::new(Code::Event, other.to_string(), HELP);
            let place = serde_json::from_slice::<serde::de::IgnoredAny>(body).err();
            let place = place.map(|error| offset(&text, error.line(), error.column()));
            vec![match place {
                Some(offset) => mistake.at(offset..offset, "here"),
                None => mistake,
            }]
        }
    };
    Mistakes::new(name, text, mistakes)
}

/// The offset of a line and a column, in bytes and both from 1, as serde_json gives them.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut offset = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Prints explanations.
///
/// # Errors
/// When they cannot be written.
pub fn print(args: &Args, explained: &Explained, out: &mut dyn Write) -> io::Result<()> {
    match (args.output, explained.explained.as_slice()) {
        (Output::Table, explanations) => {
            for (n, explanation) in explanations.iter().enumerate() {
                if n > 0 {
                    writeln!(out)?;
                }
                table(explanation, out)?;
            }
            Ok(())
        }
        (output, [one]) if !explained.batch => output.print(one, out, |_| Ok(())),
        (output, all) => output.print(all, out, |_| Ok(())),
    }
}

fn table(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let event = &explanation.event;
    write!(out, "{} {} from {}", event.ty, event.id, event.source)?;
    match &event.subject {
        Some(subject) => writeln!(out, " about {subject}")?,
        None => writeln!(out)?,
    }
    let width = explanation
        .routes
        .iter()
        .map(|route| route.route.len())
        .max()
        .unwrap_or_default();
    let mut taken = 0;
    for route in &explanation.routes {
        write!(out, "  {:width$}  ", route.route)?;
        match &route.outcome {
            Outcome::Matched {
                workflow_id,
                handler,
                timing,
                flow,
            } => {
                taken += 1;
                writeln!(out, "takes it as {workflow_id}")?;
                self::timing(timing, out)?;
                if let Some(flow) = flow {
                    self::flow(flow, out)?;
                }
                self::handler(handler, out)?;
            }
            Outcome::PatternMismatch { patterns } => writeln!(out, "no: it takes {}", patterns.join(", "))?,
            Outcome::ScheduleOnly { cron, time_zone } => {
                writeln!(
                    out,
                    "no: it takes the events of its schedule alone ({cron}, {time_zone})"
                )?;
            }
            Outcome::FilterFalse { filter } => writeln!(out, "no: {} is false", one_line(filter))?,
            Outcome::FilterFailed { filter, error } => {
                writeln!(out, "no: {} fails: {error}", one_line(filter))?;
            }
            _ => writeln!(out, "no")?,
        }
    }
    match explanation.routes.len() {
        0 => writeln!(out, "there are no routes"),
        routes => writeln!(
            out,
            "{taken} of {routes} routes {} it",
            if taken == 1 { "takes" } else { "take" }
        ),
    }
}

fn timing(timing: &TimingExplanation, out: &mut dyn Write) -> io::Result<()> {
    if let Some(dedupe) = &timing.dedupe {
        let window = &dedupe.window;
        match &dedupe.key {
            KeyExplanation::Key(key) => writeln!(out, "    once in {window} by the key {key:?}")?,
            KeyExplanation::KeyError(error) => {
                writeln!(out, "    repeats no other event: its key fails: {error}")?
            }
        }
    }
    if let Some(delay) = &timing.delay {
        writeln!(out, "    after {delay}")?;
    }
    if let Some(deadline) = &timing.deadline {
        writeln!(out, "    within {deadline}, or as a dead letter")?;
    }
    Ok(())
}

/// What may hold the event up.
fn flow(flow: &FlowExplanation, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "    ")?;
    match (&flow.by, &flow.key, &flow.error) {
        (Some(by), Some(key), _) => write!(out, "key {key:?} by {}: ", one_line(by))?,
        (Some(by), None, Some(error)) => write!(out, "no key, as {} fails: {error}: ", one_line(by))?,
        (Some(by), None, None) => write!(out, "no key by {}: ", one_line(by))?,
        (None, ..) => {}
    }
    match &flow.policy {
        Some(policy) => writeln!(out, "{policy}"),
        None => writeln!(out, "nothing holds it up"),
    }
}

fn handler(handler: &HandlerExplanation, out: &mut dyn Write) -> io::Result<()> {
    match handler {
        HandlerExplanation::Actions { stages } => stages
            .iter()
            .flatten()
            .try_for_each(|action| self::action(action, out)),
        HandlerExplanation::Consumer { name } => writeln!(out, "    consumer {name}"),
        HandlerExplanation::Workflow { name } => writeln!(out, "    workflow {name}"),
    }
}

fn action(action: &ActionExplanation, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "    {:>3} {} to {}: ", action.weight, action.name, action.to)?;
    match &action.yields {
        Yields::Error(error) => writeln!(out, "{error}"),
        Yields::Skipped(condition) => writeln!(out, "skipped: {} is false", one_line(condition)),
        Yields::Payloads(_) if action.transform.is_none() => writeln!(out, "the event itself"),
        Yields::Payloads(payloads) if payloads.is_empty() => writeln!(out, "nothing"),
        Yields::Payloads(payloads) => {
            writeln!(
                out,
                "{}",
                if payloads.len() == 1 {
                    "1 payload".to_owned()
                } else {
                    format!("{} payloads", payloads.len())
                }
            )?;
            payloads
                .iter()
                .try_for_each(|payload| writeln!(out, "        {payload}"))
        }
    }
}

/// An expression as it fits into a line.
fn one_line(expression: &str) -> String {
    expression.split_whitespace().collect::<Vec<_>>().join(" ")
}
