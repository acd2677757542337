// Timers: what is to be called, and when.

import { h } from "../dom.js";
import { get, path, put, remove } from "../api.js";
import { onChange } from "../changes.js";
import { ask, confirm } from "../dialog.js";
import { filters } from "../filters.js";
import { attempt } from "../notice.js";
import { pager } from "../pager.js";
import { button, heading, status, table } from "../parts.js";
import { can } from "../session.js";
import { url } from "../router.js";
import { duration, time } from "../time.js";

const FIELDS = [
  {
    name: "status",
    label: "Status",
    kind: "select",
    options: [["", "All"], ["pending", "Pending"], ["firing", "Firing"], ["fired", "Fired"], ["failed", "Failed"], ["canceled", "Canceled"]],
  },
];

export function show(view, { title, query, signal }) {
  title("Timers");
  let list = null;
  const form = filters(["timers"], FIELDS, query, () => list.restart());

  async function move(timer) {
    const given = await ask("Move this timer", {
      fields: [{ name: "seconds", label: "Seconds from now", kind: "number", required: true }],
      action: "Move",
      check: ({ seconds }) => (Number(seconds) > 0 ? null : "It has to be in the future."),
    });
    if (!given) return;
    await attempt(() => put(path("timers", timer.id, "deadline"), { in: `${Math.round(Number(given.seconds))}s` }), "It is moved.");
    list.refresh();
  }

  async function cancel(timer) {
    if (!(await confirm("Cancel this timer?", `It will not call ${timer.origin ?? "its URL"}.`, "Cancel the timer"))) return;
    await attempt(() => remove(path("timers", timer.id)), "It is cancelled.");
    list.refresh();
  }

  const actions = (timer) =>
    timer.status === "pending"
      ? h("div", { class: "actions" }, button("Move", () => move(timer), { kind: "quiet", "data-keep": `move ${timer.id}` }), button("Cancel", () => cancel(timer), { kind: "quiet", "data-keep": `cancel ${timer.id}` }))
      : "–";
  const columns = [
    { label: "Timer", cell: (timer) => h("a", { href: url(["executions", timer.id]) }, timer.id), class: "id" },
    { label: "Status", cell: (timer) => status(timer.status) },
    { label: "Fires", cell: (timer) => time(timer.deadline) },
    { label: "Time left", cell: (timer) => (timer.time_left ? duration(timer.time_left * 1000) : "–") },
    { label: "Calls", cell: (timer) => timer.origin ?? "–" },
  ];
  if (can("operator")) columns.push({ label: "Do", cell: actions });
  list = pager(
    async (token) => {
      const page = await get("/timers", { status: form.values().status, page_token: token }, signal);
      return { items: page.timers, next: page.next_page_token };
    },
    (items) => table("Timers, the latest made first", columns, items, { none: "No timers." }),
    signal,
  );
  view.append(heading("Timers"), form.element, list.element);
  onChange(list.refresh, signal);
}
