//! The Python SDK.

use tokio::process::Command;

use crate::bed::{Bed, installed, sources};

/// The Python that has the SDK.
const PYTHON: &str = "SEGNO_SDK_PYTHON";

async fn run(name: &str, bed: &Bed) {
    let mut program = Command::new(installed(PYTHON));
    program
        .arg(sources("python").join("run.py"))
        .arg(name)
        // The sources stay clean.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    bed.run(&mut program).await;
}

crate::scenarios! { "python/scenarios", "py":
    activities
    activity_cancellation
    activity_control
    async_completion
    children
    closing
    continue_as_new
    cron
    deployments
    histories
    local_activities
    messages
    metadata
    nexus
    operations
    oversize
    resets
    schedules
    standalone
    starts
    timers
    updates
    visibility
    workers
}
