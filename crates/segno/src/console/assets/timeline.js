// The picture of a run: what it did, when, and what it waited for.

import { h, svg } from "./dom.js";
import { between, duration } from "./time.js";

const ROW = 40;
const BAR = 12;
const at = (iso) => new Date(iso).getTime();

/** The bars of a history, in the order in which they began: `{ kind, label, from, to, state, waits, note }`. */
export function bars(events, pending) {
  const found = new Map();
  const list = [];
  const begin = (id, bar) => {
    found.set(id, bar);
    list.push(bar);
  };
  const end = (id, event, state) => {
    const bar = found.get(id);
    if (bar) Object.assign(bar, { to: event.time, state });
  };
  for (const event of events) {
    const { id, type, time, details: d } = event;
    switch (type) {
      case "ActivityTaskScheduled":
        begin(id, { kind: "activity", label: d.activity_id === d.activity_type ? d.activity_type : `${d.activity_type} ${d.activity_id}`, id: d.activity_id, from: time, state: "open" });
        break;
      case "ActivityTaskStarted": {
        const bar = found.get(d.scheduled_event_id);
        if (bar) Object.assign(bar, { started: time, attempts: d.attempt });
        break;
      }
      case "ActivityTaskCompleted":
        end(d.scheduled_event_id, event, "done");
        break;
      case "ActivityTaskFailed":
      case "ActivityTaskTimedOut":
        end(d.scheduled_event_id, event, "failed");
        break;
      case "ActivityTaskCanceled":
        end(d.scheduled_event_id, event, "canceled");
        break;
      case "TimerStarted":
        begin(id, { kind: "timer", label: `timer of ${duration((d.start_to_fire_timeout ?? 0) * 1000)}`, from: time, state: "open" });
        break;
      case "TimerFired":
        end(d.started_event_id, event, "done");
        break;
      case "TimerCanceled":
        end(d.started_event_id, event, "canceled");
        break;
      case "StartChildWorkflowExecutionInitiated":
        begin(id, { kind: "child", label: `${d.workflow_type} ${d.workflow_id}`, from: time, state: "open" });
        break;
      case "ChildWorkflowExecutionStarted": {
        const bar = found.get(d.initiated_event_id);
        if (bar) bar.started = time;
        break;
      }
      case "ChildWorkflowExecutionCompleted":
        end(d.initiated_event_id, event, "done");
        break;
      case "ChildWorkflowExecutionFailed":
      case "ChildWorkflowExecutionTimedOut":
      case "ChildWorkflowExecutionTerminated":
      case "StartChildWorkflowExecutionFailed":
        end(d.initiated_event_id, event, "failed");
        break;
      case "ChildWorkflowExecutionCanceled":
        end(d.initiated_event_id, event, "canceled");
        break;
      case "WorkflowExecutionSignaled":
        list.push({ kind: "point", label: `signal ${d.signal_name}`, from: time, to: time, state: "done" });
        break;
      case "WorkflowExecutionUpdateAccepted":
        list.push({ kind: "point", label: `update ${d.name}`, from: time, to: time, state: "done" });
        break;
      case "WorkflowExecutionCancelRequested":
        list.push({ kind: "point", label: "cancellation asked for", from: time, to: time, state: "canceled" });
        break;
      case "WorkflowTaskFailed":
      case "WorkflowTaskTimedOut":
        list.push({ kind: "point", label: `workflow task failed: ${d.cause ?? "timed out"}`, from: time, to: time, state: "failed" });
        break;
    }
  }
  for (const activity of pending ?? []) {
    const bar = list.findLast((one) => one.kind === "activity" && one.id === activity.id && !one.to);
    if (bar) Object.assign(bar, { attempts: activity.attempt, started: activity.started ?? bar.started, next: activity.next_attempt });
  }
  return list;
}

const TONES = { open: "info", done: "ok", failed: "bad", canceled: "warn" };

/** The picture of these bars from the start of the run to its end, or until now. */
export function timeline(list, started, closed) {
  if (!list.length) return null;
  const begin = Math.min(at(started ?? list[0].from), ...list.map((bar) => at(bar.from)));
  const end = Math.max(begin + 1, closed ? at(closed) : Date.now(), ...list.flatMap((bar) => (bar.next ? [at(bar.next)] : [])));
  const percent = (moment) => ((moment - begin) / (end - begin)) * 100;
  const place = (moment) => `${percent(moment).toFixed(3)}%`;
  const wide = (from, to) => `${Math.max(0.25, percent(to) - percent(from)).toFixed(3)}%`;
  const open = closed ? at(closed) : Date.now();
  const rows = list.map((bar, n) => {
    const y = n * ROW + 22;
    const from = at(bar.from);
    const to = bar.to ? at(bar.to) : open;
    const worked = bar.started ? Math.max(from, at(bar.started)) : null;
    const tries = bar.attempts > 1 ? `, attempt ${bar.attempts}` : "";
    const text = bar.kind === "point" ? bar.label : `${bar.label} · ${between(bar.from, bar.to ?? closed)}${tries}`;
    // Near the right end there is no room to the right of where it begins.
    const late = percent(from) > 55;
    const label = svg(
      "text",
      { x: late ? place(Math.max(to, from)) : place(from), y: n * ROW + 16, "text-anchor": late ? "end" : "start" },
      text,
    );
    if (bar.kind === "point") {
      const mark = svg("circle", { class: `mark tone-${TONES[bar.state]}`, cx: place(from), cy: y + BAR / 2, r: 5 });
      return svg("g", {}, label, mark);
    }
    const waiting = worked === null ? to : worked;
    return svg(
      "g",
      { class: `tone-${TONES[bar.state]}` },
      label,
      svg("rect", { class: `bar waits ${bar.kind}`, x: place(from), y, width: wide(from, bar.kind === "timer" ? to : waiting), height: BAR, rx: 2 }),
      worked === null ? null : svg("rect", { class: `bar ${bar.kind}`, x: place(worked), y, width: wide(worked, Math.max(worked, to)), height: BAR, rx: 2 }),
      bar.next ? svg("line", { class: "next", x1: place(at(bar.next)), x2: place(at(bar.next)), y1: y - 3, y2: y + BAR + 3 }) : null,
    );
  });
  const lines = [0, 25, 50, 75, 100].map((n) => svg("line", { class: "grid", x1: `${n}%`, x2: `${n}%`, y1: 0, y2: "100%" }));
  const said = list.map((bar) => `${bar.label} ${bar.state}${bar.kind === "point" ? "" : ` after ${between(bar.from, bar.to ?? closed)}`}`);
  return h(
    "figure",
    { class: "timeline" },
    svg(
      "svg",
      { width: "100%", height: list.length * ROW + 6, role: "img", "aria-label": `Timeline: ${said.slice(0, 30).join("; ")}` },
      lines,
      rows,
    ),
    h("figcaption", {}, h("span", {}, "start"), h("span", {}, duration((end - begin) / 2)), h("span", {}, duration(end - begin))),
  );
}
