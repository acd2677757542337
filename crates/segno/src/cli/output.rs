//! How commands print: for people or for programs, with colours or without.

use std::io::{self, IsTerminal, Write};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, IntoDiagnostic};

/// What a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Text for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

/// Columns that diagnostics are wrapped at.
const WIDTH: usize = 110;

/// Whether standard output gets colours: if it is a terminal and `NO_COLOR` is not set.
pub fn colors() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && io::stdout().is_terminal()
}

/// Prints a diagnostic with its source.
///
/// # Errors
/// When it cannot be written.
pub fn diagnostic(out: &mut dyn Write, diagnostic: &dyn Diagnostic, colors: bool) -> io::Result<()> {
    let theme = if colors {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_links(false);
    let mut text = String::new();
    handler
        .render_report(&mut text, diagnostic)
        .map_err(io::Error::other)?;
    let lines: Vec<_> = text.trim_matches('\n').lines().map(str::trim_end).collect();
    writeln!(out, "{}", lines.join("\n"))
}

/// Writes through a buffer to standard output. That nobody reads on is no failure.
///
/// # Errors
/// When `print` fails for another reason.
pub fn to_stdout(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> miette::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match print(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.into_diagnostic(),
    }
}

/// Prints a value as JSON for people to read.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// A text as it fits into a line, without what would garble a terminal.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
