// A run's history, compact or full.

import { h } from "./dom.js";
import { json, table } from "./parts.js";
import { time } from "./time.js";

// What is told of an event in one line.
const SAID = ["activity_type", "workflow_type", "signal_name", "timer_id", "marker_name", "name", "cause", "reason", "attempt"];

function line(event) {
  const parts = SAID.map((name) => event.details[name]).filter((value) => value !== undefined && typeof value !== "object");
  const failure = event.details.failure?.message;
  return [...parts, failure].filter(Boolean).join(" · ") || "–";
}

/** What people read of a run first: no workflow tasks that went well, and no starts. */
export function compact(events) {
  const noise = /^(WorkflowTask(Scheduled|Started|Completed)|ActivityTaskStarted|ChildWorkflowExecutionStarted|MarkerRecorded|UpsertWorkflowSearchAttributes)$/;
  return events.filter((event) => !noise.test(event.type));
}

/** The events as a table; `full` has all that they say. `extra` makes a cell for each. */
export function historyTable(events, full, extra) {
  const columns = [
    { label: "Id", cell: (event) => String(event.id), class: "number" },
    { label: "Time", cell: (event) => time(event.time) },
    { label: "Event", cell: (event) => event.type },
    {
      label: "Details",
      cell: (event) => (full && Object.keys(event.details).length ? json(event.details, { open: false, label: line(event) }) : h("span", { class: "lines" }, line(event))),
    },
  ];
  if (extra) columns.push({ label: "Do", cell: extra });
  return table(full ? "Full history" : "Compact history", columns, events, { none: "The history is empty." });
}
