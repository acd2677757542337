// The picture of where events come from and go to: source, route, action, sink.

import { h, svg } from "./dom.js";
import { number } from "./parts.js";

const WIDTH = 980;
const BOX = 190;
const HIGH = 40;
const GAP = 14;
const COLUMNS = [0, 263, 526, 790];
// As many letters as a box holds.
const LETTERS = 24;

const short = (text) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

function box(column, y, name, said, { held = false } = {}) {
  return svg(
    "g",
    { class: held ? "held" : null },
    svg("rect", { x: COLUMNS[column], y, width: BOX, height: HIGH, rx: 7 }),
    svg("text", { x: COLUMNS[column] + 10, y: y + 17 }, svg("title", {}, name), short(name)),
    svg("text", { x: COLUMNS[column] + 10, y: y + 33, class: "muted" }, said),
  );
}

function edge(from, y1, to, y2, busy) {
  const [x1, x2] = [COLUMNS[from] + BOX, COLUMNS[to]];
  const middle = (x1 + x2) / 2;
  return svg("path", { class: busy ? "busy" : null, d: `M${x1},${y1 + HIGH / 2} C${middle},${y1 + HIGH / 2} ${middle},${y2 + HIGH / 2} ${x2},${y2 + HIGH / 2}` });
}

export function flow({ sources, routes, sinks }) {
  const step = HIGH + GAP;
  const rows = [];
  let row = 0;
  // A route is as high as its actions.
  for (const route of routes) {
    rows.push({ route, y: row * step });
    row += Math.max(1, route.actions.length);
  }
  const entries = [{ name: "POST /events", kind: "HTTP" }, ...sources];
  if (routes.some((route) => route.schedule)) entries.push({ name: "Schedules", kind: "the engine's clock" });
  const height = Math.max(row, entries.length, sinks.length) * step - GAP + 4;
  const spread = (n, of) => (of < 2 ? Math.max(0, (height - HIGH) / 2) : (n * (height - HIGH - 4)) / (of - 1) + 2);
  const entry = entries.map((one, n) => ({ ...one, y: spread(n, entries.length) }));
  const places = new Map(sinks.map((sink, n) => [sink.name, spread(n, sinks.length)]));
  const drawn = { edges: [], boxes: [] };
  for (const one of entry) drawn.boxes.push(box(0, one.y, one.name, one.kind));
  for (const { route, y } of rows) {
    const said = route.paused ? "paused" : `${number(route.begun)} a minute${route.failed ? `, ${number(route.failed)} failed` : ""}`;
    drawn.boxes.push(box(1, y + 2, route.name, said, { held: route.paused }));
    for (const one of entry) {
      const clock = one.name === "Schedules";
      if (clock ? route.schedule : route.on.length) drawn.edges.push(edge(0, one.y, 1, y + 2, route.begun > 0 && clock === Boolean(route.schedule)));
    }
    if (route.handler) {
      drawn.boxes.push(box(2, y + 2, route.handler, "in this program"));
      drawn.edges.push(edge(1, y + 2, 2, y + 2, route.begun > 0));
    }
    route.actions.forEach((action, n) => {
      const at = y + n * step + 2;
      drawn.boxes.push(box(2, at, action.name, `weight ${action.weight}`));
      drawn.edges.push(edge(1, y + 2, 2, at, route.begun > 0));
      if (places.has(action.to)) drawn.edges.push(edge(2, at, 3, places.get(action.to), route.begun > 0));
    });
  }
  for (const sink of sinks) drawn.boxes.push(box(3, places.get(sink.name), sink.name, sink.state, { held: sink.state === "paused" || sink.state === "failing" }));
  const said = routes.map((route) => `${route.name} to ${route.actions.map((action) => action.to).join(", ") || route.handler}`).join("; ");
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Picture of the routes" },
    svg("svg", { class: "flow", width: WIDTH, height: height + 4, role: "img", "aria-label": `Routes: ${said || "none"}` }, drawn.edges, drawn.boxes),
  );
}
