// Everything in some figures, as they change.

import { h, replace } from "../dom.js";
import { latest, listen, past } from "../live.js";
import { chart } from "../charts.js";
import { heading, loading, number, status, table } from "../parts.js";
import { url } from "../router.js";
import { duration, time } from "../time.js";

const executions = (query) => url(["executions"], { query });

function charts(all) {
  const now = all.at(-1);
  const series = (read) => all.map((overview) => read(overview) ?? 0);
  const count = (name) => (overview) => overview.executions[name] ?? 0;
  const letters = `${number(now.dead_letters.count)}${now.dead_letters.more ? " or more" : ""}`;
  const latency = now.latency.sample ? `${duration(now.latency.p50)} / ${duration(now.latency.p95)}` : "none lately";
  const waiting = now.backlog.workflow_tasks + now.backlog.activity_tasks;
  return [
    chart("Events in", `${number(now.events.per_second)} a second`, [{ name: "begun a second", values: series((o) => o.events.per_second) }], { href: url(["events"]) }),
    chart("Running", number(now.events.running), [{ name: "running", values: series((o) => o.events.running), tone: "info" }], {
      href: executions("SegnoEventId IS NOT NULL AND ExecutionStatus = 'Running'"),
    }),
    chart("Failed runs", number(count("Failed")(now)), [{ name: "failed", values: series(count("Failed")), tone: "bad" }], {
      href: executions("ExecutionStatus = 'Failed'"),
    }),
    chart("Dead letters", letters, [{ name: "dead letters", values: series((o) => o.dead_letters.count), tone: "bad" }], {
      href: url(["dead-letters"]),
    }),
    chart("Backlog", `${number(waiting)} tasks`, [
      { name: "activities", values: series((o) => o.backlog.activity_tasks), tone: "warn" },
      { name: "workflow tasks", values: series((o) => o.backlog.workflow_tasks), tone: "info" },
    ], { href: url(["queues"]) }),
    chart("Latency, middle / 95 %", latency, [
      { name: "95 %", values: series((o) => o.latency.p95), tone: "warn" },
      { name: "middle", values: series((o) => o.latency.p50), tone: "ok" },
    ], { format: duration }),
  ];
}

function more(now) {
  const total = Object.values(now.executions).reduce((sum, one) => sum + one, 0);
  const figure = (name, value, href) => h("div", { class: "fact" }, h("dt", {}, href ? h("a", { href, data: { keep: name } }, name) : name), h("dd", {}, value));
  return h(
    "dl",
    { class: "strip" },
    figure("Executions kept", number(total), url(["executions"])),
    figure("Completed", number(now.executions.Completed ?? 0), executions("ExecutionStatus = 'Completed'")),
    figure("Timers waiting", number(now.timers), url(["timers"])),
    figure("Flows with parked keys", number(now.parked), url(["keys"])),
    figure("Routes paused", now.paused_routes.length ? now.paused_routes.join(", ") : "none", url(["routes"])),
  );
}

function sinks(now) {
  return table(
    "Sinks, as this process has seen them in the last five minutes",
    [
      { label: "Sink", cell: (sink) => h("a", { href: url(["sinks"]) }, sink.name) },
      { label: "State", cell: (sink) => status(sink.state) },
      { label: "Delivered", cell: (sink) => number(sink.delivered), class: "number" },
      { label: "Failed", cell: (sink) => number(sink.failed), class: "number" },
      { label: "Took", cell: (sink) => (sink.delivered + sink.failed ? duration(sink.milliseconds) : "–"), class: "number" },
      {
        label: "Latest failure",
        cell: (sink) => (sink.last_failure ? h("span", { class: "lines" }, time(sink.last_failure.at), " ", sink.last_failure.reason) : "–"),
      },
    ],
    now.sinks,
    { none: "No sinks are configured." },
  );
}

export function show(view, { title, signal }) {
  title("Overview");
  const grid = h("div", { class: "charts" });
  const strip = h("div", {});
  const health = h("div", {});
  const waiting = loading();
  view.append(heading("Overview"), waiting, grid, strip, health);
  let drawn = "";
  const draw = () => {
    const now = latest();
    if (!now) return;
    waiting.remove();
    replace(grid, charts(past()));
    replace(strip, more(now));
    // The table has links: it is left alone as long as it says the same.
    const told = JSON.stringify(now.sinks);
    if (told !== drawn) replace(health, sinks(now));
    drawn = told;
  };
  listen(draw, signal);
  draw();
}
