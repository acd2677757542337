// Filters that are kept in this browser under a name.

import { h, replace } from "./dom.js";
import { ask } from "./dialog.js";
import { load, save } from "./store.js";

/** A list of saved filters of a page: choosing one calls `use` with its value; `current` gives what would be saved. */
export function saved(name, given, current, use) {
  const place = h("ul", { class: "saved", "aria-label": "Saved filters" });
  const mine = () => load(`saved.${name}`, []);
  const draw = () => {
    const chip = ({ label, value }, forget) =>
      h(
        "li",
        {},
        h("button", { type: "button", on: { click: () => use(value) } }, label),
        forget ? h("button", { type: "button", class: "quiet", "aria-label": `Forget ${label}`, on: { click: forget } }, "✕") : null,
      );
    const forget = (label) => () => {
      save(`saved.${name}`, mine().filter((one) => one.label !== label));
      draw();
    };
    replace(
      place,
      given.map((one) => chip(one)),
      mine().map((one) => chip(one, forget(one.label))),
      h("li", {}, h("button", { type: "button", class: "quiet", on: { click: keep } }, "Save this filter …")),
    );
  };
  async function keep() {
    const told = await ask("Save this filter", { fields: [{ name: "label", label: "Name", required: true }], action: "Save" });
    if (!told) return;
    save(`saved.${name}`, [...mine().filter((one) => one.label !== told.label), { label: told.label, value: current() }]);
    draw();
  }
  draw();
  return place;
}
