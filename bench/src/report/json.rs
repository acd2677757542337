//! The report for programs.

use std::path::Path;

use anyhow::{Context, Result};

use super::Report;

/// Writes the report to a file, in place of what was there.
pub(crate) fn write(report: &Report, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
