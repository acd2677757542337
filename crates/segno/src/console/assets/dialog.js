// Dialogs: the browser's own, which keep the focus inside and give it back.

import { h } from "./dom.js";

let count = 0;

/** Opens a dialog with this content; resolves once it is closed. */
export function open(title, content, actions = []) {
  const id = `dialog-${++count}`;
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", on: { click: () => dialog.close() } }, "✕");
  const dialog = h(
    "dialog",
    { "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), close),
    content,
    actions.length ? h("footer", {}, actions) : null,
  );
  document.body.append(dialog);
  dialog.showModal();
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
  return { dialog, closed };
}

/**
 * Asks for some fields: `{ name, label, kind: "text" | "area" | "check" | "select", value, required, options, hint }`.
 * Resolves to their values by name, or to null if it is cancelled. `check` may refuse values with a text.
 */
export function ask(title, { text, fields = [], action = "OK", danger = false, check }) {
  let values = null;
  const inputs = fields.map((field) => [field, input(field)]);
  const error = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h(
    "form",
    {
      method: "dialog",
      id: `form-${count + 1}`,
      on: {
        submit: (event) => {
          const given = Object.fromEntries(
            inputs.map(([field, element]) => [field.name, field.kind === "check" ? element.checked : element.value]),
          );
          const refused = check?.(given);
          if (refused) {
            event.preventDefault();
            error.textContent = refused;
            error.hidden = false;
            return;
          }
          values = given;
        },
      },
    },
    text ? h("p", { class: "lines" }, text) : null,
    inputs.map(([field, element]) => labelled(field, element)),
    error,
  );
  const cancel = h("button", { type: "button", on: { click: () => opened.dialog.close() } }, "Cancel");
  const submit = h("button", { class: danger ? "danger" : "primary", form: form.id }, action);
  const opened = open(title, form, [cancel, submit]);
  (inputs[0]?.[1] ?? submit).focus();
  return opened.closed.then(() => values);
}

/** A field's input with its label. */
export function labelled(field, element) {
  const hint = field.hint ? h("span", { class: "hint" }, field.hint) : null;
  if (field.kind === "check") return h("label", { class: "check" }, element, h("span", {}, field.label), hint);
  return h("label", { class: "field" }, h("span", {}, field.label), element, hint);
}

function input({ kind = "text", value, required, options, placeholder, rows }) {
  const common = { required, placeholder, spellcheck: "false" };
  if (kind === "area") return h("textarea", { ...common, rows: rows ?? 8, value: value ?? "" });
  if (kind === "check") return h("input", { type: "checkbox", checked: value });
  if (kind === "select") {
    return h("select", {}, options.map(([name, label]) => h("option", { value: name, selected: name === value }, label)));
  }
  return h("input", { ...common, type: kind, value: value ?? "" });
}

/** Asks whether to go on. */
export async function confirm(title, text, action, danger = true) {
  return (await ask(title, { text, action, danger })) !== null;
}
