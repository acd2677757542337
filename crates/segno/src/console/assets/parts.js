// What pages are put together from.

import { h } from "./dom.js";
import { done } from "./notice.js";

/** A state, as a word in a colour. */
export function status(name) {
  return h("span", { class: "status", "data-status": String(name).toLowerCase() }, name);
}

/** A section with a heading. */
export function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), children);
}

/** What there is to know of something: pairs of a name and a value. Those without a value are left out. */
export function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, told.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function button(label, act, { kind = "", hidden = false, ...props } = {}) {
  if (hidden) return null;
  return h("button", { type: "button", class: kind, on: { click: act }, ...props }, label);
}

/** What is shown while there is nothing else. */
export const loading = () => h("p", { class: "empty" }, "Loading …");
export const empty = (text) => h("p", { class: "empty" }, text);
export const problem = (error) => h("p", { class: "problem lines", role: "alert" }, error.text ?? error.message);

/** JSON as text that can be copied, closed where it is long. */
export function json(value, { open = true, label = "JSON" } = {}) {
  const text = JSON.stringify(value, null, 2) ?? "nothing";
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      done("Copied.");
    } catch {
      getSelection().selectAllChildren(code);
    }
  };
  const code = h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label }, text);
  const tools = h("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${label}`, on: { click: copy } }, "Copy");
  const body = h("div", { class: "code" }, tools, code);
  if (text.length < 200 || open === "always") return body;
  return h("details", { open }, h("summary", {}, `${label}, ${size(text.length)}`), body);
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1 << 20) return `${(bytes / 1024).toFixed(1)} kB`;
  return `${(bytes / (1 << 20)).toFixed(1)} MB`;
}

/** A number with its thousands set apart. */
export function number(n) {
  return Number(n).toLocaleString("en-US", { maximumFractionDigits: 1 });
}

/** A failure and what caused it. */
export function failure(told) {
  if (!told) return null;
  const causes = [];
  for (let one = told; one; one = one.cause) causes.push(one);
  return h(
    "ol",
    { class: "causes" },
    causes.map((one) => h("li", { class: "lines" }, one.type ? h("strong", {}, `${one.type}: `) : null, one.message || "no message")),
  );
}

/**
 * A table. `columns`: `{ label, cell(row), class }`. The roles are said, as narrow screens show rows as blocks, where a
 * browser would take them away.
 */
export function table(caption, columns, rows, { none = "Nothing here." } = {}) {
  if (!rows.length) return empty(none);
  const heads = columns.map(({ label, class: kind }) => h("th", { scope: "col", role: "columnheader", class: kind }, label));
  const line = (row) =>
    h(
      "tr",
      { role: "row", "data-row": true },
      columns.map(({ label, cell, class: kind }) => h("td", { role: "cell", "data-label": label, class: kind }, cell(row))),
    );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { role: "table" },
      h("caption", {}, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
      h("tbody", { role: "rowgroup" }, rows.map(line)),
    ),
  );
}

/** A heading with what can be done. */
export function heading(title, ...actions) {
  return h("header", { class: "heading" }, h("h1", { tabindex: "-1" }, title), h("div", { class: "actions" }, actions));
}
