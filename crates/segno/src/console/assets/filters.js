// A form of fields that filter a list. What is chosen is in the page's address, so that it can be kept and sent on.

import { h } from "./dom.js";
import { labelled } from "./dialog.js";
import { note, url } from "./router.js";

/** `fields`: `{ name, label, kind, options, placeholder, search }`. `changed` is called with the values by name. */
export function filters(segments, fields, query, changed, { action = "Search", more = [] } = {}) {
  const inputs = fields.map((field) => [field, input(field, query.get(field.name) ?? "")]);
  const values = () => Object.fromEntries(inputs.map(([field, element]) => [field.name, element.value.trim()]));
  const submit = (event) => {
    event?.preventDefault();
    note(url(segments, values()));
    changed(values());
  };
  const clear = () => {
    for (const [, element] of inputs) element.value = "";
    submit();
  };
  const form = h(
    "form",
    { class: "filters", role: "search", on: { submit } },
    inputs.map(([field, element]) => labelled(field, element)),
    h(
      "div",
      { class: "actions" },
      h("button", { class: "primary" }, action),
      h("button", { type: "button", on: { click: clear } }, "Clear"),
      more,
    ),
  );
  for (const [, element] of inputs) if (element.tagName === "SELECT") element.addEventListener("change", submit);
  return {
    element: form,
    values,
    set(next) {
      for (const [field, element] of inputs) element.value = next[field.name] ?? "";
      submit();
    },
  };
}

function input({ kind = "text", options, placeholder, search }, value) {
  if (kind === "select") {
    return h("select", {}, options.map(([name, label]) => h("option", { value: name, selected: name === value }, label)));
  }
  return h("input", { type: kind, value, placeholder, spellcheck: "false", step: kind === "datetime-local" ? "1" : null, "data-search": search });
}
