// Keys: to go somewhere, to search, to walk through a list, and to see which keys there are.

import { h } from "./dom.js";
import { open } from "./dialog.js";
import { go } from "./router.js";

const places = new Map();
const PATIENCE = 1500;
let waiting = 0;

/** `g` and then this key goes to this address. */
export function place(key, label, address) {
  places.set(key, { label, address });
}

function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable]") !== null;
}

function walk(step) {
  const rows = [...document.querySelectorAll("main [data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  const link = rows[next].querySelector("a, button") ?? rows[next];
  link.focus();
  link.scrollIntoView({ block: "nearest" });
}

export function help() {
  const keys = [
    ["/", "Search"],
    ["j", "Next row"],
    ["k", "Row before"],
    ["Enter", "Open the row"],
    ["?", "This help"],
    ["Esc", "Close a dialog"],
    ...[...places].map(([key, { label }]) => [`g ${key}`, `Go to ${label}`]),
  ];
  const list = h(
    "dl",
    { class: "keys" },
    keys.map(([key, what]) => h("div", {}, h("dt", {}, key.split(" ").map((part) => h("kbd", {}, part))), h("dd", {}, what))),
  );
  open("Keyboard shortcuts", list);
}

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const { key } = event;
    if (Date.now() - waiting < PATIENCE) {
      waiting = 0;
      const found = places.get(key);
      if (found) {
        event.preventDefault();
        go(found.address);
      }
      return;
    }
    if (key === "g") waiting = Date.now();
    else if (key === "/") {
      const search = document.querySelector("main [data-search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select?.();
    } else if (key === "j") walk(1);
    else if (key === "k") walk(-1);
    else if (key === "?") help();
  });
}
