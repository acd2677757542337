// Sinks: how they do, and pausing.

import { h, replace } from "../dom.js";
import { get } from "../api.js";
import { every } from "../changes.js";
import { heading, loading, number, problem, status, table } from "../parts.js";
import { duration, time } from "../time.js";
import { pauseButton } from "./routes.js";

export async function show(view, { title, signal }) {
  title("Sinks");
  const body = h("div", {}, loading());
  view.append(heading("Sinks"), body);
  let shown = "";
  async function refresh() {
    try {
      const [topology, { sinks: listed }] = await Promise.all([get("/topology", {}, signal), get("/sinks", {}, signal)]);
      const told = new Map(topology.sinks.map((sink) => [sink.name, sink]));
      const text = JSON.stringify([topology.sinks, listed]);
      if (text === shown || signal.aborted) return;
      shown = text;
      const users = (name) => topology.routes.filter((route) => route.actions.some((action) => action.to === name)).map((route) => route.name);
      replace(
        body,
        table(
          "Sinks, as this process has seen them in the last five minutes",
          [
            { label: "Sink", cell: (sink) => h("strong", {}, sink.name) },
            { label: "State", cell: (sink) => status(sink.paused ? "paused" : (told.get(sink.name)?.state ?? "not configured")) },
            { label: "Paused since", cell: (sink) => time(sink.paused) },
            { label: "Used by", cell: (sink) => users(sink.name).join(", ") || "–" },
            { label: "Delivered", cell: (sink) => number(told.get(sink.name)?.delivered ?? 0), class: "number" },
            { label: "Failed", cell: (sink) => number(told.get(sink.name)?.failed ?? 0), class: "number" },
            { label: "Took", cell: (sink) => duration(told.get(sink.name)?.milliseconds ?? 0), class: "number" },
            {
              label: "Latest failure",
              cell: (sink) => {
                const failure = told.get(sink.name)?.last_failure;
                return failure ? h("span", { class: "lines" }, time(failure.at), ` ${failure.reason}`) : "–";
              },
            },
            { label: "Do", cell: (sink) => pauseButton("sinks", sink.name, Boolean(sink.paused), refresh) },
          ],
          listed,
          { none: "No sinks are configured." },
        ),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(2000, refresh, signal);
}
