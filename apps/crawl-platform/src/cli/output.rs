//! How commands print.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

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
    /// Prints a value on standard output, as it is or as `table` writes it. That nobody reads on is no failure.
    pub(super) fn show<T: Serialize + ?Sized>(
        self,
        value: &T,
        table: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let printed = match self {
            Self::Table => table(&mut out),
            Self::Json => serde_json::to_writer_pretty(&mut out, value)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out)),
            Self::Yaml => serde_saphyr::to_string(&value)
                .map_err(io::Error::other)
                .and_then(|text| writeln!(out, "{}", text.trim_end_matches('\n'))),
        };
        match printed.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}

/// A value in one line, without what would garble a terminal; nothing for null.
fn text(value: &Value) -> String {
    let plain = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain: String = plain
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rows below each other under their heads, the columns aligned.
fn table(heads: &[&str], rows: Vec<Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = [heads].into_iter().chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Rows of these fields of the values in a list.
fn rows<'a>(list: impl IntoIterator<Item = &'a Value>, fields: &[&str]) -> Vec<Vec<String>> {
    let row = |value: &Value| fields.iter().map(|field| text(&value[*field])).collect();
    list.into_iter().map(row).collect()
}

pub(super) fn runs(runs: &[Value], out: &mut dyn Write) -> io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no runs");
    }
    let fields = [
        "id",
        "status",
        "trigger",
        "createdAt",
        "startedAt",
        "endedAt",
        "records",
        "reason",
    ];
    let heads = [
        "RUN",
        "STATUS",
        "TRIGGER",
        "ASKED FOR",
        "STARTED",
        "ENDED",
        "RECORDS",
        "REASON",
    ];
    table(&heads, rows(runs, &fields), out)
}

pub(super) fn run(run: &Value, out: &mut dyn Write) -> io::Result<()> {
    for (head, field) in [
        ("run", "id"),
        ("crawler", "crawlerId"),
        ("status", "status"),
        ("reason", "reason"),
        ("trigger", "trigger"),
        ("asked for", "createdAt"),
        ("started", "startedAt"),
        ("ended", "endedAt"),
        ("waits", "saturation"),
        ("stop", "stopRequested"),
        ("stopped by", "stoppedBy"),
        ("records", "records"),
        ("export", "exportStatus"),
        ("export failed", "exportReason"),
        ("files", "supportingFile"),
        ("workflow", "workflowId"),
    ] {
        let value = text(&run[field]);
        if !value.is_empty() {
            writeln!(out, "{head:<14}{value}")?;
        }
    }
    type Section = (
        &'static str,
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );
    const SECTIONS: [Section; 4] = [
        (
            "tasks",
            "Tasks",
            &[
                "PROCESS", "STATUS", "JOB", "RECORDS", "PAGES", "ERRORS", "FAILURE",
            ],
            &[
                "process", "status", "jobName", "records", "pages", "errors", "failure",
            ],
        ),
        (
            "attempts",
            "Attempts",
            &["NUMBER", "JOB", "BEGAN", "OUTCOME"],
            &["number", "jobName", "startedAt", "outcome"],
        ),
        (
            "corrections",
            "Corrections",
            &["TIME", "TASK", "FROM", "TO", "REASON"],
            &["at", "taskId", "from", "to", "reason"],
        ),
        (
            "logs",
            "Log",
            &["TIME", "LEVEL", "MESSAGE"],
            &["at", "level", "message"],
        ),
    ];
    for (field, title, heads, fields) in SECTIONS {
        let list = run[field].as_array().map(Vec::as_slice).unwrap_or_default();
        if !list.is_empty() {
            writeln!(out, "\n{title}")?;
            table(heads, rows(list, fields), out)?;
        }
    }
    Ok(())
}

pub(super) fn begun(begun: &Value, out: &mut dyn Write) -> io::Result<()> {
    let run = text(&begun["runId"]);
    if begun["duplicate"] == true {
        return writeln!(out, "the run {run} had begun before");
    }
    writeln!(out, "the run {run} begins")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn runs_are_rows() {
        let list = [
            json!({ "id": "a", "status": "FAILED", "trigger": "api", "createdAt": "2026-01-01T00:00:00Z", "reason": "x\n\u{1b}[31my" }),
            json!({ "id": "bcd", "status": "PROCESSING", "records": 7 }),
        ];
        let text = printed(|out| runs(&list, out));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("RUN  STATUS      TRIGGER"), "{text}");
        assert!(lines[1].ends_with("x [31my") && lines[2].ends_with('7'), "{text}");
        assert_eq!(printed(|out| runs(&[], out)), "no runs\n");
    }

    #[test]
    fn of_a_run_only_what_there_is_is_told() {
        let shown = json!({ "id": "a", "status": "COMPLETED", "reason": null, "tasks": [{ "process": 0 }], "logs": [] });
        let text = printed(|out| run(&shown, out));
        assert!(
            text.starts_with("run           a\nstatus        COMPLETED\n\nTasks\nPROCESS"),
            "{text}"
        );
        assert!(!text.contains("reason") && !text.contains("Log"), "{text}");
    }
}
