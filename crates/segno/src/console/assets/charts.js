// Small charts of how a figure went, as SVG that stretches with its place.

import { h, svg } from "./dom.js";
import { number } from "./parts.js";

const WIDTH = 240;
const HEIGHT = 56;

/**
 * A chart: `lines` are `{ name, values, tone }`, the latest value last; `shown` is what the figure is now, in words.
 * What it shows is said in its label, and its scale beside it.
 */
export function chart(title, shown, lines, { format = number, points = 120, href } = {}) {
  const top = Math.max(1e-9, ...lines.flatMap(({ values }) => values.filter(Number.isFinite)));
  const x = (n, of) => WIDTH - ((of - 1 - n) * WIDTH) / (points - 1);
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const drawn = lines.map(({ values, tone }) => {
    if (values.length < 2) return null;
    const path = values.map((value, n) => `${x(n, values.length).toFixed(1)},${y(value || 0).toFixed(1)}`);
    const from = x(0, values.length).toFixed(1);
    return svg(
      "g",
      { class: `tone-${tone ?? "plain"}` },
      svg("path", { class: "area", d: `M${from},${HEIGHT} L${path.join(" L")} L${WIDTH},${HEIGHT} Z` }),
      svg("path", { class: "line", d: `M${path.join(" L")}`, "vector-effect": "non-scaling-stroke" }),
    );
  });
  const label = `${title}: ${shown}. ${lines.map(({ name, values }) => `${name}, last ${format(values.at(-1) ?? 0)}`).join("; ")}`;
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
    drawn,
  );
  const name = href ? h("a", { href, data: { keep: title } }, title) : title;
  const legend =
    lines.length > 1
      ? h("p", { class: "legend" }, lines.map(({ name, tone }) => h("span", { class: `key tone-${tone ?? "plain"}` }, name)))
      : null;
  return h(
    "section",
    { class: "chart" },
    h("h2", {}, name),
    h("p", { class: "figure" }, shown),
    h("div", { class: "plot" }, picture, h("span", { class: "top", "aria-hidden": "true" }, top > 1e-9 ? format(top) : "")),
    legend,
  );
}
