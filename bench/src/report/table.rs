//! The report for people.

use super::{Footprint, Rate, Report};
use crate::{
    events::Events,
    routes::Routing,
    scale::{
        closed::Closed,
        restart::{Restart, Waits},
    },
    target::Kind,
};

/// All tables of the report.
pub(crate) fn render(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "\n{} cores, {}; files on {}; load before: {}\n",
        machine.cores, machine.processor, machine.file_system, machine.load
    );
    if !report.throughput.is_empty() {
        text += "\nOne-activity workflows, started and awaited\n";
        text += &rates("workflows/s", &report.throughput);
    }
    if !report.starts.is_empty() {
        text += "\nStarts alone\n";
        text += &rates("starts/s", &report.starts);
    }
    if !report.footprint.is_empty() {
        text += "\nWhat the servers take\n";
        text += &footprints(&report.footprint);
    }
    if !report.events.is_empty() {
        text += "\nEvents from HTTP to a webhook\n";
        text += &events(&report.events);
    }
    if !report.routing.is_empty() {
        text += "\nRouting one event that three routes take\n";
        text += &routing(&report.routing);
    }
    if !report.restarts.is_empty() {
        text += "\nRestarts of a killed engine\n";
        text += &restarts(&report.restarts);
    }
    if let Some(closed) = &report.closed {
        text += &format!(
            "\n{} closed executions: {:.0} workflows/s, on the empty file {:.0}\n",
            closed.executions, closed.per_second_full, closed.per_second_empty
        );
        text += &lists(closed);
        let deletion = &closed.deletion;
        text += &format!(
            "{} of them deleted in {:.0} s; a start meanwhile took {:.1} ms, at most {:.1}; the file had {} MiB, then {}\n",
            deletion.executions,
            deletion.seconds,
            deletion.mean_ms,
            deletion.most_ms,
            deletion.bytes_before >> 20,
            deletion.bytes_after >> 20,
        );
    }
    text
}

fn lists(closed: &Closed) -> String {
    let mut rows = vec![
        ["list", "pages", "mean ms", "most ms"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(closed.lists.iter().map(|listed| {
        vec![
            listed.list.to_owned(),
            listed.pages.to_string(),
            format!("{:.1}", listed.mean_ms),
            format!("{:.1}", listed.most_ms),
        ]
    }));
    align(&rows)
}

fn events(events: &[Events]) -> String {
    let mut rows = vec![
        [
            "platform",
            "callers",
            "events/s",
            "accept p50 ms",
            "accept p99 ms",
            "deliver p50 ms",
            "deliver p99 ms",
            "x dev server",
            "x restate",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(events.iter().map(|row| {
        vec![
            row.platform.to_owned(),
            row.callers.to_string(),
            format!("{:.0}", row.per_second),
            format!("{:.1}", row.accept_p50_ms),
            format!("{:.1}", row.accept_p99_ms),
            format!("{:.1}", row.deliver_p50_ms),
            format!("{:.1}", row.deliver_p99_ms),
            number(row.ratios.get("segno on the dev server").copied(), 1),
            number(row.ratios.get("restate").copied(), 2),
        ]
    }));
    align(&rows)
}

fn routing(routing: &[Routing]) -> String {
    let mut rows = vec![
        ["routes", "us/event", "asking each us"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(routing.iter().map(|row| {
        vec![
            row.routes.to_string(),
            format!("{:.2}", row.plan_us),
            format!("{:.2}", row.linear_us),
        ]
    }));
    align(&rows)
}

fn restarts(restarts: &[Restart]) -> String {
    let mut rows = vec![
        [
            "executions",
            "wait for",
            "up in ms",
            "bytes each",
            "MiB",
            "late p50 ms",
            "late p99 ms",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(restarts.iter().map(|restart| {
        let waits = match restart.waits {
            Waits::ForWorkers => "workers",
            Waits::ForTimers => "timers",
        };
        vec![
            restart.executions.to_string(),
            waits.to_owned(),
            format!("{:.0}", restart.start_up_ms),
            format!("{:.0}", restart.bytes_per_execution),
            format!("{:.0}", restart.resident_mib),
            number(restart.lateness.as_ref().map(|late| late.p50_ms), 1),
            number(restart.lateness.as_ref().map(|late| late.p99_ms), 1),
        ]
    }));
    align(&rows)
}

fn rates(unit: &str, rates: &[Rate]) -> String {
    let peer = Kind::DevServerFile.name();
    let mut rows = vec![
        [
            "server",
            "callers",
            unit,
            "p50 ms",
            "p99 ms",
            "driver CPU ms",
            "server CPU ms",
            "x dev server",
            "of the stub",
            "x restate",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(rates.iter().map(|rate| {
        vec![
            rate.server.to_owned(),
            rate.callers.to_string(),
            format!("{:.0}", rate.per_second),
            format!("{:.1}", rate.p50_ms),
            format!("{:.1}", rate.p99_ms),
            format!("{:.2}", rate.driver_cpu_ms),
            number(rate.server_cpu_ms, 2),
            number(rate.ratios.get(peer).copied(), 1),
            number(rate.of_ceiling, 2),
            number(rate.ratios.get(Kind::Restate.name()).copied(), 2),
        ]
    }));
    align(&rows)
}

fn footprints(footprints: &[Footprint]) -> String {
    let mut rows = vec![
        [
            "server",
            "start-up ms",
            "idle MiB",
            "loaded MiB",
            "peak MiB",
            "empty file KiB",
            "bytes/execution",
            "executions",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(footprints.iter().map(|row| {
        let empty = row.empty_file_bytes.map(|bytes| (bytes / 1_024).to_string());
        vec![
            row.server.to_owned(),
            format!("{:.0}", row.start_up_ms),
            number(row.idle_mib, 1),
            number(row.loaded_mib, 1),
            number(row.peak_mib, 1),
            empty.unwrap_or_else(|| "-".to_owned()),
            number(row.bytes_per_execution, 0),
            row.executions.to_string(),
        ]
    }));
    align(&rows)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Rows of cells in columns: the first to the left, the others to the right.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            text += &if column == 0 {
                format!("{cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
        }
        text.push('\n');
    }
    text
}
