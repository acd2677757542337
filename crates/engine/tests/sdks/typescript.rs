//! The TypeScript SDK.

use tokio::process::Command;

use crate::bed::{Bed, installed};

/// The folder of the compiled scenarios and the bundle of their workflows.
const BUILD: &str = "SEGNO_SDK_TYPESCRIPT";

async fn run(name: &str, bed: &Bed) {
    let mut program = Command::new("node");
    program.arg(installed(BUILD).join("run.js")).arg(name);
    bed.run(&mut program).await;
}

crate::scenarios! { "typescript/src/scenarios", "ts":
    activities
    cancellation
    children
    closing
    continue_as_new
    cron
    messages
    schedules
    standalone
    starts
    timers
    updates
    visibility
    workers
}
