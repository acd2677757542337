// The audit log: who has changed what.

import { h } from "../dom.js";
import { get } from "../api.js";
import { filters } from "../filters.js";
import { pager } from "../pager.js";
import { button, heading, status, table } from "../parts.js";
import { moment } from "../query.js";
import { url } from "../router.js";
import { time } from "../time.js";

const FIELDS = [
  { name: "who", label: "Who", search: true },
  { name: "path", label: "Path", placeholder: "/routes/big-orders/pause" },
  { name: "since", label: "From", kind: "datetime-local" },
  { name: "until", label: "Until", kind: "datetime-local" },
];

/** What became of a change, in a word. */
function outcome({ outcome: told }) {
  if (!told) return status("running");
  return [status(told.result), told.status ? ` ${told.status}` : ""];
}

const COLUMNS = [
  { label: "When", cell: (entry) => time(entry.time) },
  { label: "Who", cell: (entry) => h("span", { class: "lines" }, `${entry.who} (${entry.role})`) },
  { label: "From", cell: (entry) => entry.from },
  { label: "What", cell: (entry) => h("span", { class: "lines" }, entry.action) },
  { label: "Path", cell: (entry) => entry.path, class: "id" },
  { label: "Outcome", cell: (entry) => outcome(entry) },
  { label: "Kept in", cell: (entry) => h("a", { href: url(["executions", `@audit/${entry.id}`]) }, entry.id), class: "id" },
];

export function show(view, { title, query, signal }) {
  title("Audit log");
  let list = null;
  const form = filters(["audit"], FIELDS, query, () => list.restart());
  list = pager(
    async (token) => {
      const { who, path, since, until } = form.values();
      const page = await get("/audit", { who, path, since: moment(since), until: moment(until), page_token: token }, signal);
      return { items: page.entries, next: page.next_page_token };
    },
    (items) => table("What people and programs have changed, the newest first", COLUMNS, items, { none: "Nothing has been changed." }),
    signal,
  );
  view.append(heading("Audit log", button("Read again", () => list.refresh())), form.element, list.element);
}
