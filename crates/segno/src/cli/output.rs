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
    /// The same as YAML.
    Yaml,
}

impl Output {
    /// Prints a value as it is, or what `table` makes of it for people.
    pub(super) fn print<T: serde::Serialize + ?Sized>(
        self,
        value: &T,
        out: &mut dyn Write,
        table: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Table => table(out),
            Self::Json => {
                serde_json::to_writer_pretty(&mut *out, value)?;
                writeln!(out)
            }
            Self::Yaml => {
                let text = serde_saphyr::to_string(&value).map_err(io::Error::other)?;
                writeln!(out, "{}", text.trim_end_matches('\n'))
            }
        }
    }

    /// The same for standard output, where that nobody reads on is no failure.
    pub(super) fn show<T: serde::Serialize + ?Sized>(
        self,
        value: &T,
        table: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> miette::Result<()> {
        to_stdout(|out| self.print(value, out, table))
    }
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

/// A text as it fits into a line, without what would garble a terminal.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rows below each other, the columns aligned. The last column is as long as it is.
pub(super) fn columns(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A string in an answer, in one line; nothing where it is none.
pub(super) fn text(value: &serde_json::Value) -> String {
    value.as_str().map(one_line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "b".to_owned()],
            vec!["läng".to_owned(), String::new()],
        ];
        let mut out = Vec::new();
        columns(&rows, &mut out).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a     b\nläng\n");
    }

    #[test]
    fn yaml_keeps_texts_that_look_like_something_else() {
        let value = serde_json::json!({"id": "1001", "on": "yes", "list": [1, null, "a: b"], "none": {}});
        let mut out = Vec::new();
        Output::Yaml.print(&value, &mut out, |_| Ok(())).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains("id: \"1001\"") || text.contains("id: '1001'"),
            "{text}"
        );
        assert!(text.contains("\"a: b\"") || text.contains("'a: b'"), "{text}");
    }
}
