// One schedule: its times, and pausing, triggering and backfilling it.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { every, onChange } from "../changes.js";
import { ask } from "../dialog.js";
import { attempt } from "../notice.js";
import { button, empty, facts, heading, json, loading, panel, problem, status, table } from "../parts.js";
import { moment } from "../query.js";
import { url } from "../router.js";
import { can } from "../session.js";
import { relative, time } from "../time.js";

const run = (one) => h("a", { href: url(["executions", one.workflow_id], { run_id: one.run_id }) }, one.workflow_id);

export async function show(view, { params, title, signal }) {
  const { id } = params;
  title(`Schedule ${id}`);
  const actions = h("div", { class: "actions" });
  const body = h("div", {}, loading());
  view.append(heading(id, actions), body);
  const address = path("schedules", id);
  let shown = "";

  const told = async (verb, request, text) => {
    await attempt(() => post(`${address}/${verb}`, request), text);
    await refresh();
  };

  async function pause(verb) {
    const given = await ask(verb === "pause" ? "Pause this schedule?" : "Resume this schedule?", {
      fields: [{ name: "note", label: "Note" }],
      action: verb === "pause" ? "Pause" : "Resume",
    });
    if (given) await told(verb, given.note ? { note: given.note } : {}, verb === "pause" ? "It is paused." : "It goes on.");
  }

  async function backfill() {
    const given = await ask("Start what was due between two times", {
      text: "One after the other, as if the time had come.",
      fields: [
        { name: "from", label: "From", kind: "datetime-local", required: true },
        { name: "until", label: "Until", kind: "datetime-local", required: true },
      ],
      action: "Backfill",
    });
    if (given) await told("backfill", { from: moment(given.from), until: moment(given.until) }, "The engine has it.");
  }

  function draw(schedule) {
    const hidden = !can("operator");
    replace(
      actions,
      button("Pause", () => pause("pause"), { hidden: hidden || schedule.paused, "data-keep": "pause" }),
      button("Resume", () => pause("resume"), { hidden: hidden || !schedule.paused, "data-keep": "resume" }),
      button("Trigger now", () => told("trigger", {}, "It is started."), { hidden, "data-keep": "trigger" }),
      button("Backfill", backfill, { hidden, "data-keep": "backfill" }),
    );
    replace(
      body,
      facts([
        ["State", status(schedule.paused ? "Paused" : "Active")],
        ["Note", schedule.note],
        ["Times", schedule.times.join(", ")],
        ["Time zone", schedule.time_zone || "UTC"],
        ["Starts", schedule.workflow_type],
        ["While one runs", schedule.overlap],
        ["Started", schedule.started],
        ["Skipped", schedule.skipped || null],
        ["Missed", schedule.missed || null],
        ["Made", schedule.created && time(schedule.created)],
      ]),
      panel("Next", schedule.next.length ? h("ol", {}, schedule.next.map((at) => h("li", {}, time(at), ` ${relative(at)}`))) : empty("It comes no more.")),
      panel(
        "Latest runs",
        table(
          "The latest runs, the last first",
          [
            { label: "Due", cell: (one) => time(one.due) },
            { label: "Started", cell: (one) => time(one.started) },
            { label: "Execution", cell: run, class: "id" },
            { label: "Status", cell: (one) => status(one.status) },
          ],
          schedule.recent,
          { none: "It has started nothing yet." },
        ),
      ),
      schedule.running.length ? panel("Running", h("ul", {}, schedule.running.map((one) => h("li", {}, run(one))))) : null,
      panel("What it starts with", json(schedule.input, { label: "Input" })),
    );
  }

  async function refresh() {
    try {
      const schedule = await get(address, {}, signal);
      const text = JSON.stringify(schedule);
      if (text === shown || signal.aborted) return;
      shown = text;
      draw(schedule);
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  onChange(refresh, signal);
  every(3000, refresh, signal);
}
