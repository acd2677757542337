//! `segno runs`: the runs of a crawl platform as a command of `segno`, which finds this program on the `PATH`.

use std::process::ExitCode;

use clap::Parser;
use segno_crawl_platform::cli::Runs;

/// Asks a running crawl platform for its runs: lists, shows, begins, stops them, and goes on with them.
#[derive(Parser)]
#[command(name = "segno runs", bin_name = "segno runs", version)]
struct Cli {
    #[command(flatten)]
    runs: Runs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if Cli::parse().runs.done().await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
