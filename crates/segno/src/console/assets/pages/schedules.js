// What the engine starts by the clock.

import { h } from "../dom.js";
import { get } from "../api.js";
import { every, onChange } from "../changes.js";
import { pager } from "../pager.js";
import { heading, status, table } from "../parts.js";
import { url } from "../router.js";
import { time } from "../time.js";

const COLUMNS = [
  { label: "Schedule", cell: (one) => h("a", { href: url(["schedules", one.id]) }, one.id), class: "id" },
  { label: "State", cell: (one) => status(one.paused ? "Paused" : "Active") },
  { label: "Times", cell: (one) => h("span", { class: "lines" }, `${one.times.join("\n")}${one.time_zone ? ` (${one.time_zone})` : ""}`) },
  { label: "Starts", cell: (one) => one.workflow_type },
  { label: "Next", cell: (one) => time(one.next[0]) },
  { label: "Latest", cell: (one) => time(one.recent[0]?.started) },
];

export function show(view, { title, signal }) {
  title("Schedules");
  const list = pager(
    async (token) => {
      const page = await get("/schedules", { page_token: token }, signal);
      return { items: page.schedules, next: page.next_page_token };
    },
    (items) => table("Schedules", COLUMNS, items, { none: "No schedules." }),
    signal,
  );
  view.append(heading("Schedules"), list.element);
  onChange(list.refresh, signal);
  every(10_000, list.refresh, signal);
}
