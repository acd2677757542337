// Task queues and workers.

import { h, replace } from "../dom.js";
import { get } from "../api.js";
import { every } from "../changes.js";
import { empty, heading, loading, number, panel, problem, status, table } from "../parts.js";
import { go, url } from "../router.js";
import { labelled } from "../dialog.js";
import { duration, time } from "../time.js";

const side = (kind) => [
  { label: `${kind}: backlog`, cell: (queue) => number(queue[kind].backlog), class: "number" },
  { label: "Oldest", cell: (queue) => (queue[kind].backlog ? duration(queue[kind].oldest_seconds * 1000) : "–"), class: "number" },
  { label: "Pollers", cell: (queue) => number(queue[kind].pollers.length), class: "number" },
];

export const slots = ({ used, available }) => `${number(used)} of ${number(used + available)}`;

export async function show(view, { title, signal }) {
  title("Task queues");
  const name = h("input", { type: "text", "data-search": true, required: true });
  const look = (event) => {
    event.preventDefault();
    if (name.value.trim()) go(url(["queues", name.value.trim()]));
  };
  const body = h("div", {}, loading());
  view.append(
    heading("Task queues"),
    h("form", { class: "filters", role: "search", on: { submit: look } }, labelled({ label: "Name of a queue" }, name), h("div", { class: "actions" }, h("button", { class: "primary" }, "Show"))),
    body,
  );
  let shown = "";
  async function refresh() {
    try {
      const [{ task_queues: queues }, { supported, workers }] = await Promise.all([get("/task-queues", {}, signal), get("/workers", {}, signal)]);
      const text = JSON.stringify([queues, workers]);
      if (text === shown || signal.aborted) return;
      shown = text;
      replace(
        body,
        table(
          "Segno's own queue, and those of executions that run",
          [{ label: "Queue", cell: (queue) => h("a", { href: url(["queues", queue.name]) }, queue.name) }, ...side("workflow"), ...side("activity")],
          queues,
        ),
        panel(
          "Workers",
          supported
            ? table(
                "Workers that report themselves",
                [
                  { label: "Worker", cell: (worker) => worker.identity, class: "id" },
                  { label: "State", cell: (worker) => status(worker.status) },
                  { label: "Queue", cell: (worker) => worker.task_queue },
                  { label: "Host", cell: (worker) => `${worker.host} ${worker.process}` },
                  { label: "SDK", cell: (worker) => worker.sdk },
                  { label: "Heard of", cell: (worker) => time(worker.heartbeat) },
                  { label: "Workflow tasks", cell: (worker) => slots(worker.workflow), class: "number" },
                  { label: "Activities", cell: (worker) => slots(worker.activity), class: "number" },
                ],
                workers,
                { none: "No worker has reported itself yet." },
              )
            : empty("This engine does not tell of its workers."),
        ),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(3000, refresh, signal);
}
