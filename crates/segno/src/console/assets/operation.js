// An operation over many executions, and how far it is: a decision about many dead letters, or a replay.

import { h, replace } from "./dom.js";
import { get, post } from "./api.js";
import { every } from "./changes.js";
import { attempt } from "./notice.js";
import { button, facts, heading, json, loading, number, panel, problem, status } from "./parts.js";
import { can } from "./session.js";
import { between, time } from "./time.js";

const named = (name) => name.replaceAll("_", " ");

/** Executions a second that it has begun so far, where it counts them. */
function rate({ progress, started_at, ended_at }) {
  const began = progress?.executions;
  if (!began) return null;
  const seconds = (new Date(ended_at ?? Date.now()) - new Date(started_at)) / 1000;
  return `${number(began / Math.max(1, seconds))} executions a second`;
}

/**
 * Shows the operation at `address` of the API. `cancelled` says what stays of one that is cancelled; `more(signal)` gives
 * an element with what else there is to tell, a
 * `key` that changes with it, and whether it is `open`, that is: may change after the operation's end.
 */
export async function showOperation(view, { title, signal }, { name, address, cancelled, more = async () => null }) {
  title(name);
  const body = h("div", {}, loading());
  view.append(heading(name), body);
  let shown = "";
  let open = true;
  const steer = (verb, text) => attempt(() => post(`${address}/${verb}`), text).then(refresh);
  async function refresh() {
    try {
      const operation = await get(address, {}, signal);
      const told = await more(signal);
      const running = operation.state === "running" || operation.state === "paused";
      open = running || Boolean(told?.open);
      const text = JSON.stringify([operation, told?.key]);
      if (text === shown || signal.aborted) return;
      shown = text;
      const hidden = !running || !can("operator");
      const progress = Object.entries(operation.progress ?? {}).filter(([, value]) => typeof value === "number");
      const most = operation.request?.per_second;
      replace(
        body,
        facts([
          ["State", status(operation.state)],
          ["Began", time(operation.started_at)],
          ["Ended", operation.ended_at && time(operation.ended_at)],
          ["Took", between(operation.started_at, operation.ended_at)],
          ...progress.map(([key, value]) => [named(key), number(value)]),
          ["Rate", rate(operation)],
          ["At most", most && `${number(most)} a second`],
        ]),
        running ? h("progress", { "aria-label": "It is under way" }) : null,
        h(
          "div",
          { class: "actions" },
          button("Pause", () => steer("pause", "It is told to pause."), { hidden: hidden || operation.state === "paused", "data-keep": "pause" }),
          button("Resume", () => steer("resume", "It goes on."), { hidden: hidden || operation.state !== "paused", "data-keep": "resume" }),
          button("Cancel", () => steer("cancel", cancelled), { hidden, "data-keep": "cancel" }),
        ),
        operation.progress?.first_failure ? panel("The first that failed", json(operation.progress.first_failure, { label: "First failure" })) : null,
        told?.element,
        panel("What was asked for", json(operation.request, { label: "Request" })),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(1000, () => open && refresh(), signal);
}
