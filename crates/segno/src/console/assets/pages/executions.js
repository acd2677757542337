// Executions, by the visibility query language.

import { h, replace } from "../dom.js";
import { get } from "../api.js";
import { onChange } from "../changes.js";
import { filters } from "../filters.js";
import { pager } from "../pager.js";
import { heading, number, status, table } from "../parts.js";
import { saved } from "../saved.js";
import { url } from "../router.js";
import { between, time } from "../time.js";

const GIVEN = [
  { label: "All", value: { query: "" } },
  { label: "Running", value: { query: "ExecutionStatus = 'Running'" } },
  { label: "Failed", value: { query: "ExecutionStatus = 'Failed'" } },
  { label: "Waiting for a pause", value: { query: "SegnoPaused IS NOT NULL AND ExecutionStatus = 'Running'" } },
  { label: "Of events", value: { query: "SegnoEventId IS NOT NULL" } },
];

const FIELDS = [
  {
    name: "query",
    label: "Query",
    search: true,
    placeholder: "SegnoRoute = 'big-orders' AND ExecutionStatus = 'Failed'",
  },
];

export const COLUMNS = [
  { label: "Status", cell: (one) => status(one.status) },
  {
    label: "Execution",
    cell: (one) => h("a", { href: url(["executions", one.workflow_id], { run_id: one.run_id }) }, one.workflow_id),
    class: "id",
  },
  { label: "Route or type", cell: (one) => one.route ?? one.type },
  { label: "Event type", cell: (one) => one.event_type ?? "–" },
  { label: "Started", cell: (one) => time(one.start_time) },
  { label: "Took", cell: (one) => between(one.start_time, one.close_time) },
];

function counts(place, told) {
  const all = Object.entries(told ?? {});
  replace(
    place,
    all.length
      ? h("dl", { class: "strip" }, all.map(([name, count]) => h("div", { class: "fact" }, h("dt", {}, status(name)), h("dd", {}, number(count)))))
      : null,
  );
}

export function show(view, { title, query, signal }) {
  title("Executions");
  let list = null;
  const form = filters(["executions"], FIELDS, query, () => list.restart(), { action: "List" });
  const totals = h("div", {});
  let counted = null;
  /** Counts beside the list, which does not wait for it; what takes long to count is counted less often. */
  async function count(asked) {
    const began = performance.now();
    if (counted?.query === asked && began < counted.holds) return;
    const mine = { query: asked, holds: Infinity };
    counted = mine;
    let told = null;
    try {
      told = (await get("/executions", { query: asked, page_size: 1, count: true }, signal)).counts;
    } catch {
      // The list says what is wrong.
    }
    mine.holds = performance.now() + 20 * (performance.now() - began);
    if (counted === mine && !signal.aborted) counts(totals, told);
  }
  list = pager(
    async (token) => {
      const { query: asked } = form.values();
      // What is counted does not depend on the page.
      if (!token) count(asked);
      const page = await get("/executions", { query: asked, page_token: token }, signal);
      return { items: page.executions, next: page.next_page_token };
    },
    (items) => table("Executions, open ones first, then the latest closed", COLUMNS, items, { none: "No executions are found." }),
    signal,
  );
  const help = h(
    "details",
    { class: "help" },
    h("summary", {}, "What can be asked for"),
    h("p", {}, "Conditions on attributes, joined by AND, OR and NOT, such as: ", h("code", {}, "SegnoEventType = 'order.placed' AND StartTime > '2026-01-31T12:00:00Z'")),
    h("p", {}, "Attributes: ", ["WorkflowId", "WorkflowType", "ExecutionStatus", "StartTime", "CloseTime", "ExecutionDuration", "TaskQueue", "SegnoRoute", "SegnoEventId", "SegnoEventType", "SegnoEventSource", "SegnoEventSubject", "SegnoReplay", "SegnoPaused", "SegnoKey", "SegnoParked"].map((name, n) => [n ? ", " : "", h("code", {}, name)])),
    h("p", {}, "Operators: =, !=, >, >=, <, <=, IN, BETWEEN, STARTS_WITH, IS NULL, IS NOT NULL."),
  );
  view.append(heading("Executions"), form.element, saved("executions", GIVEN, form.values, form.set), help, totals, list.element);
  onChange(list.refresh, signal);
}
