// Routes: a picture of where events come from and go to, and pausing.

import { h, replace } from "../dom.js";
import { get, path, post } from "../api.js";
import { every } from "../changes.js";
import { flow } from "../flow.js";
import { attempt } from "../notice.js";
import { button, heading, loading, number, panel, problem, status, table } from "../parts.js";
import { url } from "../router.js";
import { can } from "../session.js";

/** How a pause of a route or a sink is asked for; `refresh` shows what came of it. */
export function pauseButton(kind, name, paused, refresh) {
  if (!can("operator")) return status(paused ? "Paused" : "Active");
  const verb = paused ? "resume" : "pause";
  const act = async () => {
    await attempt(() => post(path(kind, name, verb)), paused ? `${name} goes on.` : `${name} is paused: what comes waits.`);
    await refresh();
  };
  return button(paused ? "Resume" : "Pause", act, { "data-keep": `${verb} ${name}`, "aria-label": `${paused ? "Resume" : "Pause"} ${name}` });
}

export async function show(view, { title, signal }) {
  title("Routes");
  const body = h("div", {}, loading());
  view.append(heading("Routes"), body);
  let shown = "";
  const count = (route, condition, n) =>
    h("a", { href: url(["executions"], { query: `SegnoRoute = '${route.name}' AND ${condition}` }) }, number(n));
  async function refresh() {
    try {
      const topology = await get("/topology", {}, signal);
      const text = JSON.stringify({ ...topology, sinks: topology.sinks.map(({ name, state }) => [name, state]) });
      if (text === shown || signal.aborted) return;
      shown = text;
      replace(
        body,
        panel("Where events go", flow(topology)),
        table(
          "Routes, in their order",
          [
            { label: "Route", cell: (route) => h("strong", {}, route.name) },
            { label: "State", cell: (route) => status(route.paused ? "Paused" : "Active") },
            { label: "Takes", cell: (route) => h("span", { class: "lines" }, [...route.on, route.schedule ? `at ${route.schedule}` : null, route.when ? `if ${route.when}` : null].filter(Boolean).join("\n")) },
            { label: "Runs", cell: (route) => route.handler ?? h("span", { class: "lines" }, route.actions.map((action) => `${action.name} → ${action.to}`).join("\n")) },
            { label: "Begun a minute", cell: (route) => number(route.begun), class: "number" },
            { label: "Failed a minute", cell: (route) => number(route.failed), class: "number" },
            { label: "Running", cell: (route) => count(route, "ExecutionStatus = 'Running'", route.running), class: "number" },
            { label: "Do", cell: (route) => pauseButton("routes", route.name, route.paused, refresh) },
          ],
          topology.routes,
          { none: "No routes are configured." },
        ),
      );
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) replace(body, problem(error));
    }
  }
  await refresh();
  every(2000, refresh, signal);
}
