// Dark or light: as the system has it, or as the reader says.

import { load, save } from "./store.js";

const ORDER = ["auto", "light", "dark"];
let theme = load("theme", "auto");

export function current() {
  return theme;
}

export function next() {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
}

export function apply(wanted = theme) {
  theme = ORDER.includes(wanted) ? wanted : "auto";
  save("theme", theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
