// Runs of crawlers, the newest first; and how one is begun by hand.

import { h } from "../dom.js";
import { get, path, post } from "../api.js";
import { every, onChange } from "../changes.js";
import { ask } from "../dialog.js";
import { filters } from "../filters.js";
import { attempt, wrong } from "../notice.js";
import { pager } from "../pager.js";
import { button, heading, number, status, table } from "../parts.js";
import { moment } from "../query.js";
import { url } from "../router.js";
import { can } from "../session.js";
import { between, time } from "../time.js";

const options = (...names) => [["", "All"], ...names.map((name) => [name, name])];
const FIELDS = [
  { name: "status", label: "Status", kind: "select", options: options("INITIALIZING", "PROCESSING", "COMPLETED", "FAILED") },
  { name: "trigger", label: "Asked for by", kind: "select", options: options("scheduled", "manual", "api") },
  { name: "crawler", label: "Crawler", placeholder: "its id", search: true },
  { name: "since", label: "Since", kind: "datetime-local" },
  { name: "until", label: "Until", kind: "datetime-local" },
];

export async function show(view, { query, title, signal }) {
  title("Runs");
  const names = new Map();
  const columns = [
    { label: "Run", cell: (run) => h("a", { href: url(["runs", run.id]) }, run.id), class: "id" },
    { label: "Crawler", cell: (run) => names.get(run.crawlerId) ?? run.crawlerId },
    { label: "Status", cell: (run) => status(run.status) },
    { label: "Asked for", cell: (run) => [time(run.createdAt), ` ${run.trigger}`] },
    { label: "Took", cell: (run) => (run.startedAt ? between(run.startedAt, run.endedAt) : "–") },
    { label: "Records", cell: (run) => (run.records === null ? "–" : number(run.records)) },
    { label: "Reason", cell: (run) => run.reason ?? run.saturation ?? "" },
  ];
  const chosen = filters(["runs"], FIELDS, query, () => list.restart());
  const asked = () => {
    const { since, until, ...others } = chosen.values();
    return { ...others, since: since && moment(since), until: until && moment(until) };
  };
  const list = pager(
    async (cursor) => {
      const page = await get("/app/runs", { ...asked(), cursor }, signal);
      return { items: page.runs, next: page.next };
    },
    (runs) => table("Runs", columns, runs, { none: "No runs." }),
    signal,
  );
  async function begin() {
    if (!names.size) return wrong({ message: "There is no crawler to run. POST /crawlers of the platform's API makes one." });
    const given = await ask("Begin a run?", {
      fields: [{ name: "crawler", label: "Crawler", kind: "select", options: [...names] }],
      action: "Begin",
    });
    if (!given) return;
    await attempt(() => post(`/app${path("crawlers", given.crawler, "runs")}`, { trigger: "manual" }), "It begins.");
    await list.refresh();
  }

  view.append(heading("Runs", button("Begin a run", begin, { hidden: !can("operator") })), chosen.element, list.element);
  onChange(list.refresh, signal);
  every(3000, list.refresh, signal);
  // Their names come later than the runs; without them the list has ids.
  for (const crawler of await get("/app/crawlers", {}, signal)) names.set(crawler.id, crawler.name);
  await list.refresh();
}
