// One run: its record, what can be done about it, and its tasks, attempts, corrections and log.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { every, onChange } from "../changes.js";
import { ask, confirm } from "../dialog.js";
import { attempt } from "../notice.js";
import { button, facts, heading, loading, number, panel, problem, status, table } from "../parts.js";
import { url } from "../router.js";
import { can, who } from "../session.js";
import { between, time } from "../time.js";

const ENDED = ["COMPLETED", "FAILED"];
const count = (n) => (n === null ? "–" : number(n));

const TASKS = [
  { label: "Process", cell: (task) => task.process },
  { label: "Status", cell: (task) => status(task.status) },
  { label: "Job", cell: (task) => task.jobName, class: "id" },
  { label: "Pod", cell: (task) => [task.pod, task.node].filter(Boolean).join(" on ") },
  { label: "Took", cell: (task) => (task.startedAt ? between(task.startedAt, task.endedAt) : "–") },
  { label: "Pages", cell: (task) => count(task.pages) },
  { label: "Records", cell: (task) => count(task.records) },
  { label: "Errors", cell: (task) => count(task.errors) },
  { label: "Restarts", cell: (task) => task.restarts },
  { label: "Failure", cell: (task) => h("span", { class: "lines" }, task.failure ?? "") },
];
const ATTEMPTS = [
  { label: "Attempt", cell: (one) => one.number },
  { label: "Job", cell: (one) => one.jobName, class: "id" },
  { label: "Began", cell: (one) => time(one.startedAt) },
  { label: "Outcome", cell: (one) => one.outcome ?? "under way" },
];
const LOG = [
  { label: "Time", cell: (line) => time(line.at) },
  { label: "Level", cell: (line) => line.level },
  { label: "Message", cell: (line) => h("span", { class: "lines" }, line.message) },
];

export async function show(view, { params, title, signal }) {
  const { id } = params;
  title(`Run ${id}`);
  const actions = h("div", { class: "actions" });
  const body = h("div", {}, loading());
  view.append(heading(`Run ${id}`, actions), body);
  const address = `/app${path("runs", id)}`;
  let shown = "";

  const told = async (verb, request, text) => {
    await attempt(() => post(`${address}/${verb}`, request), text);
    await refresh();
  };

  async function stop(force) {
    const given = await ask(force ? "Stop this run by force?" : "Stop this run?", {
      text: force
        ? "Its pods are deleted at once: what they have not written yet is lost."
        : "Its processes are told to end. Those that have not in time lose their pods.",
      action: force ? "Stop by force" : "Stop",
      danger: true,
    });
    if (given) await told("stop", { force, by: who().name || "the console" }, "It is told to stop.");
  }

  async function resume() {
    const sure = await confirm("Resume this run?", "Another workflow goes on with it from where it stands.", "Resume", false);
    if (sure) await told("resume", {}, "It goes on.");
  }

  function draw(run) {
    const hidden = !can("operator") || ENDED.includes(run.status);
    const corrections = [
      { label: "Time", cell: (one) => time(one.at) },
      { label: "Process", cell: (one) => run.tasks.find((task) => task.id === one.taskId)?.process ?? one.taskId },
      { label: "From", cell: (one) => status(one.from) },
      { label: "To", cell: (one) => status(one.to) },
      { label: "Reason", cell: (one) => h("span", { class: "lines" }, one.reason) },
    ];
    const tails = run.tasks.filter((task) => task.logTail);
    replace(
      actions,
      button("Stop", () => stop(false), { hidden, "data-keep": "stop" }),
      button("Stop by force", () => stop(true), { hidden, kind: "danger", "data-keep": "force" }),
      button("Resume", resume, { hidden, "data-keep": "resume" }),
    );
    replace(
      body,
      facts([
        ["Status", status(run.status)],
        ["Reason", run.reason],
        ["Crawler", run.crawlerId],
        ["Asked for by", run.trigger],
        ["Asked for", time(run.createdAt)],
        ["Started", run.startedAt && time(run.startedAt)],
        ["Ended", run.endedAt && time(run.endedAt)],
        ["Took", run.startedAt && between(run.startedAt, run.endedAt)],
        ["Stage", run.workflow?.stage],
        ["Looks next", run.workflow?.nextLookAt && time(run.workflow.nextLookAt)],
        ["Reconciled", number(run.reconciled)],
        ["Waits, as the scheduler says", run.saturation],
        ["Stop", run.stopRequested && `${run.stopRequested}, by ${run.stoppedBy}`],
        ["Records", run.records === null ? null : number(run.records)],
        ["Export", run.exportStatus],
        ["Why the export failed", run.exportReason],
        ["Supporting files", run.supportingFile],
        ["Workflow", run.workflowId && h("a", { href: url(["executions", run.workflowId]) }, run.workflowId)],
      ]),
      panel("Tasks", table("Tasks of the run", TASKS, run.tasks)),
      tails.map((task) =>
        panel(
          `The last that process ${task.process} wrote`,
          h(
            "div",
            { class: "code" },
            h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": `Log of process ${task.process}` }, task.logTail),
          ),
        ),
      ),
      panel("Attempts", table("Attempts to deploy the run", ATTEMPTS, run.attempts, { none: "It is not deployed yet." })),
      panel("Corrections", table("Corrections of tasks", corrections, run.corrections, { none: "Nothing had to be corrected." })),
      panel("Log", table("What happened", LOG, run.logs, { none: "Nothing has happened yet." })),
    );
  }

  async function refresh() {
    try {
      const run = await get(address, {}, signal);
      const text = JSON.stringify(run);
      if (text === shown || signal.aborted) return;
      shown = text;
      draw(run);
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  onChange(refresh, signal);
  every(2000, refresh, signal);
}
