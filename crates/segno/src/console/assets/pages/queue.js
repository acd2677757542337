// One task queue: what waits in it, and who polls it.

import { h, replace } from "../dom.js";
import { get, path } from "../api.js";
import { every } from "../changes.js";
import { facts, heading, loading, number, panel, problem, table } from "../parts.js";
import { quoted } from "../query.js";
import { url } from "../router.js";
import { duration, time } from "../time.js";

const rate = (n) => `${n.toFixed(n < 10 ? 2 : 0)} a second`;

function side(title, told) {
  return panel(
    title,
    facts([
      ["Waiting", number(told.backlog)],
      ["The first for", told.backlog ? duration(told.oldest_seconds * 1000) : "–"],
      ["Come", rate(told.added_per_second)],
      ["Go to workers", rate(told.dispatched_per_second)],
    ]),
    table(
      `Who has asked for ${title.toLowerCase()} lately`,
      [
        { label: "Worker", cell: (poller) => poller.identity, class: "id" },
        { label: "Asked last", cell: (poller) => time(poller.last_access) },
      ],
      told.pollers,
      { none: "Nobody polls: what waits is not worked on." },
    ),
  );
}

export async function show(view, { params, title, signal }) {
  title(`Task queue ${params.name}`);
  const body = h("div", {}, loading());
  const running = `TaskQueue = ${quoted(params.name)} AND ExecutionStatus = 'Running'`;
  view.append(heading(`Task queue ${params.name}`, h("a", { class: "button", href: url(["executions"], { query: running }) }, "Running executions")), body);
  async function refresh() {
    try {
      const queue = await get(path("task-queues", params.name), {}, signal);
      if (!signal.aborted) replace(body, side("Workflow tasks", queue.workflow), side("Activity tasks", queue.activity));
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(3000, refresh, signal);
}
