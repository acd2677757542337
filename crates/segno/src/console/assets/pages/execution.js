// One execution: what it was given, what it does and waits for, what came of it, and what can be done about it.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { every, onChange } from "../changes.js";
import { ask } from "../dialog.js";
import { children } from "../family.js";
import { compact, historyTable } from "../history.js";
import { attempt } from "../notice.js";
import { button, empty, facts, failure, heading, json, loading, panel, problem, size, status, table } from "../parts.js";
import { go, url } from "../router.js";
import { can } from "../session.js";
import { bars, timeline } from "../timeline.js";
import { between, time } from "../time.js";
import { action, replayOf } from "./event.js";

/** History events that are fetched for the picture and the list. */
const MOST = 2000;

const link = (one) => one && h("a", { href: url(["executions", one.workflow_id], { run_id: one.run_id }) }, one.workflow_id);

function pending(activities) {
  return table(
    "Pending activities",
    [
      { label: "Activity", cell: (one) => `${one.type} ${one.id}` },
      { label: "State", cell: (one) => status(one.state) },
      { label: "Attempt", cell: (one) => `${one.attempt}${one.max_attempts ? ` of ${one.max_attempts}` : ""}`, class: "number" },
      { label: "Next attempt", cell: (one) => time(one.next_attempt) },
      { label: "Heartbeat", cell: (one) => time(one.heartbeat) },
      { label: "Worker", cell: (one) => one.worker || "–" },
      { label: "Latest failure", cell: (one) => failure(one.last_failure) ?? "–" },
    ],
    activities,
  );
}

function parse(text) {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export async function show(view, { params, query, title, signal }) {
  const id = params.id;
  const run = query.get("run_id") ?? undefined;
  title(id);
  const actions = h("div", { class: "actions" });
  const body = h("div", {}, loading());
  view.append(heading(id, actions), body);
  let full = false;
  let shown = "";
  let detail = null;
  let events = [];
  let token = null;
  let kin = null;

  const told = (verb, request, text) =>
    attempt(async () => {
      const reply = await post(path("executions", id, verb), request);
      setTimeout(refresh, 300);
      return reply;
    }, text);

  async function signalIt() {
    const given = await ask("Send a signal", {
      fields: [
        { name: "name", label: "Name", required: true },
        { name: "input", label: "Input, as JSON", kind: "area", rows: 6, hint: "Nothing is no input." },
      ],
      action: "Send",
      check: ({ input }) => (parse(input) === null && input.trim() !== "null" ? "The input is no JSON." : null),
    });
    if (!given) return;
    const input = parse(given.input);
    await told("signal", { name: given.name, ...(input === undefined ? {} : { input }), run_id: detail.run_id }, "The signal is sent.");
  }

  async function end(verb, text) {
    const what = verb === "cancel" ? "Cancel this execution?" : "Terminate this execution?";
    const given = await ask(what, {
      text,
      fields: [{ name: "reason", label: "Reason" }],
      action: verb === "cancel" ? "Ask it to end" : "Terminate",
      danger: true,
    });
    if (given) await told(verb, { reason: given.reason, run_id: detail.run_id }, verb === "cancel" ? "It was asked to end." : "It has ended.");
  }

  async function reset(event) {
    const given = await ask(`Reset to event ${event.id}?`, {
      text: "A new run keeps what was before this workflow task and does the rest anew. A run that is under way ends.",
      fields: [{ name: "reason", label: "Reason", required: true }],
      action: "Reset",
      danger: true,
    });
    if (!given) return;
    let made = null;
    const request = { event_id: event.id, reason: given.reason, run_id: detail.run_id };
    const went = await attempt(async () => {
      made = await post(path("executions", id, "reset"), request);
    }, "A new run goes on from there.");
    if (went) go(url(["executions", id], { run_id: made.run_id }));
  }

  function buttons() {
    const running = detail.status === "Running" || detail.status === "Paused";
    replace(
      actions,
      detail.event_id ? h("a", { class: "button", href: url(["events", detail.event_source, detail.event_id]) }, "Event") : null,
      detail.event_id && can("operator") ? replayOf(detail.event_source, detail.event_id, [detail.route].filter(Boolean)) : null,
      button("Signal", signalIt, { hidden: !running || !can("operator"), "data-keep": "signal" }),
      button("Cancel", () => end("cancel", "It decides what that means, and puts its things in order."), {
        hidden: !running || !can("operator"), "data-keep": "cancel",
      }),
      button("Terminate", () => end("terminate", "It ends at once and cannot put anything in order."), {
        kind: "danger", hidden: !running || !can("admin"), "data-keep": "terminate",
      }),
    );
  }

  function history() {
    const resetting = can("admin") && full;
    const cell = (event) =>
      event.type === "WorkflowTaskCompleted" ? button("Reset to here", () => reset(event), { kind: "quiet" }) : "";
    const toggle = (wanted, label) =>
      h("button", { type: "button", "aria-pressed": String(full === wanted), "data-keep": label, on: { click: () => { full = wanted; draw(); } } }, label);
    return panel(
      "History",
      h("div", { class: "actions", role: "group", "aria-label": "How much of it" }, toggle(false, "Compact"), toggle(true, "Full")),
      historyTable(full ? events : compact(events), full, resetting ? cell : null),
      token ? button(`More than ${events.length} events: read on`, more) : null,
    );
  }

  async function more() {
    await fetchHistory(MOST);
    draw();
  }

  function draw() {
    const { standing } = detail;
    buttons();
    replace(
      body,
      facts([
        ["Status", status(detail.status)],
        ["Type", detail.type],
        ["Route", detail.route],
        ["Run", detail.run_id],
        ["Started", time(detail.start_time)],
        ["Took", between(detail.start_time, detail.close_time)],
        ["Task queue", standing.task_queue && h("a", { href: url(["queues", standing.task_queue]) }, standing.task_queue)],
        ["History", `${standing.history_length} events${standing.history_bytes ? `, ${size(standing.history_bytes)}` : ""}`],
        ["Parent", link(standing.parent)],
        ["Root", link(standing.root)],
        ["Waits", detail.waits],
        ["Workflow task", standing.workflow_task && `${standing.workflow_task.state}, attempt ${standing.workflow_task.attempt}`],
        ["Dead letter", detail.status === "Failed" && detail.route ? h("a", { href: url(["dead-letters", id]) }, "Decide about it") : null],
      ]),
      detail.failure ? panel("Failure", failure(detail.failure)) : null,
      panel("Timeline", timeline(bars(events, standing.activities), detail.start_time, detail.close_time) ?? empty("It has done nothing yet.")),
      standing.activities.length ? panel("Pending", pending(standing.activities)) : null,
      kin ? panel("Children", kin.element) : null,
      detail.actions.length ? panel("Activities", detail.actions.map((one) => action(one, "h3"))) : null,
      panel("Input", json(detail.input, { label: "Input" })),
      detail.result === undefined ? null : panel("Result", json(detail.result, { label: "Result" })),
      history(),
      panel("Attributes and memo", json({ search_attributes: standing.search_attributes, memo: standing.memo }, { label: "Attributes and memo", open: false })),
    );
  }

  /** Reads on from what was read before, at most so many events. */
  async function fetchHistory(most) {
    const until = events.length + most;
    do {
      const asked = { run_id: detail.run_id, page_size: 500, page_token: token };
      const page = await get(path("executions", id, "history"), asked, signal);
      events.push(...page.events);
      token = page.next_page_token ?? null;
    } while (token && events.length < until);
  }

  async function refresh() {
    try {
      const next = await get(path("executions", id), { run_id: run ?? detail?.run_id }, signal);
      const text = JSON.stringify(next);
      if (text === shown) return;
      shown = text;
      detail = next;
      events = [];
      token = null;
      const [found] = await Promise.all([children(id, signal), fetchHistory(MOST)]);
      // What somebody has unfolded stays so while it says the same.
      if (found?.key !== kin?.key) kin = found;
      if (!signal.aborted) draw();
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }

  await refresh();
  onChange(refresh, signal);
  every(2000, () => detail?.status === "Running" && refresh(), signal);
}
