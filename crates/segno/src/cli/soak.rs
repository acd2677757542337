//! `segno soak`: load and faults, for as long as one likes.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use miette::IntoDiagnostic;

use super::output::Output;
use crate::soak::{self, Options};

/// Put a Segno of its own under load, kill it again and again, and see that nothing is lost and nothing grows.
#[derive(Debug, Args)]
pub(super) struct Soak {
    /// For how long.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30m")]
    duration: Duration,
    /// Events a second.
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    rate: f64,
    /// About how long it is left alone between two kills; 0s never kills it.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5m")]
    kill_every: Duration,
    /// Share of the deliveries that are refused and have to be made again.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    refused: f64,
    /// Share of the events that are never taken, and have to be dead letters.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    dead: f64,
    /// How long what is done is kept; memory and files are not to grow after that.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5m")]
    retention: Duration,
    /// The same seed draws the same times of kills and the same events that are never taken.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder of its files, which stay there [default: one that is deleted at the end].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Soak {
    /// Its exit code says whether all was well.
    pub(super) async fn run(self) -> miette::Result<ExitCode> {
        if !(self.rate > 0.0 && self.rate <= 100_000.0) {
            miette::bail!(
                "--rate {} is not a number of events between 0 and 100000",
                self.rate
            );
        }
        let temporary = match self.folder {
            Some(_) => None,
            None => Some(Temporary::new().into_diagnostic()?),
        };
        let folder = self.folder.clone();
        let options = Options {
            duration: self.duration,
            rate: self.rate,
            kill_every: Some(self.kill_every).filter(|every| !every.is_zero()),
            refused: self.refused,
            dead: self.dead,
            retention: self.retention,
            seed: self.seed,
            folder: folder
                .or_else(|| temporary.as_ref().map(|temporary| temporary.0.clone()))
                .unwrap_or_default(),
        };
        let report = soak::run(&options).await.into_diagnostic()?;
        self.output
            .show(&report, |out: &mut dyn Write| report.print(out))?;
        Ok(match report.wrong.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// A folder that is deleted in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("segno-soak-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be deleted is left to whoever cleans the place for temporary files.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
