//! How far long work is: a line on standard error that follows it, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::api::Api;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// A line that turns and tells; nothing where standard error is no terminal.
pub(super) fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner();
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Waits until the operation at this path runs no more, and returns what it is then.
///
/// # Errors
/// When the API cannot be asked any more; the operation goes on.
pub(super) async fn until_closed(api: &Api, path: &[&str]) -> miette::Result<Value> {
    let bar = spinner();
    loop {
        let operation = api.call(Method::GET, path, &[], None).await?;
        let state = operation["state"].as_str().unwrap_or_default().to_owned();
        let counts: Vec<_> = operation["progress"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, count)| Some(format!("{} {}", count.as_u64()?, name.replace('_', " "))))
            .collect();
        bar.set_message(format!("{state}: {}", counts.join(", ")));
        if !matches!(state.as_str(), "running" | "paused") {
            bar.finish_and_clear();
            return Ok(operation);
        }
        tokio::time::sleep(LOOK).await;
        bar.tick();
    }
}
