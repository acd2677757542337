// A decision about many dead letters, and how far it is.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { every } from "../changes.js";
import { attempt } from "../notice.js";
import { button, facts, heading, json, loading, panel, problem, status } from "../parts.js";
import { can } from "../session.js";
import { time } from "../time.js";

export async function show(view, { params, title, signal }) {
  title(`Bulk operation ${params.id}`);
  const body = h("div", {}, loading());
  view.append(heading(`Bulk operation ${params.id}`), body);
  const address = path("dead-letters", "bulk", params.id);
  let shown = "";
  let open = true;
  const steer = (verb, text) => attempt(() => post(`${address}/${verb}`), text).then(refresh);
  async function refresh() {
    try {
      const operation = await get(address, {}, signal);
      open = operation.state === "running" || operation.state === "paused";
      const text = JSON.stringify(operation);
      if (text === shown) return;
      shown = text;
      const hidden = !open || !can("operator");
      const progress = Object.entries(operation.progress ?? {}).filter(([, value]) => typeof value === "number");
      replace(
        body,
        facts([
          ["State", status(operation.state)],
          ["Began", time(operation.started_at)],
          ["Ended", time(operation.ended_at)],
          ...progress,
        ]),
        open ? h("progress", { "aria-label": "It is under way" }) : null,
        h(
          "div",
          { class: "actions" },
          button("Pause", () => steer("pause", "It is told to pause."), { hidden: hidden || operation.state === "paused", "data-keep": "pause" }),
          button("Resume", () => steer("resume", "It goes on."), { hidden: hidden || operation.state !== "paused", "data-keep": "resume" }),
          button("Cancel", () => steer("cancel", "It is told to end. What it has decided stays."), { hidden, "data-keep": "cancel" }),
        ),
        panel("What was asked for", json(operation.request, { label: "Request" })),
        panel("Progress", json(operation.progress, { label: "Progress" })),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(1000, () => open && refresh(), signal);
}
