// When to read a list again: the server says that something has changed, and not more often than this.

import { listen } from "./live.js";

const EVERY = 2000;

/** Calls `refresh` after executions have begun or ended, at most every two seconds, until the signal is aborted. */
export function onChange(refresh, signal) {
  let seen = null;
  let last = Date.now();
  let due = null;
  const run = () => {
    due = null;
    last = Date.now();
    refresh();
  };
  listen((overview) => {
    if (!overview || overview.revision === seen) return;
    const first = seen === null;
    seen = overview.revision;
    if (first || due) return;
    due = setTimeout(run, Math.max(0, last + EVERY - Date.now()));
  }, signal);
  signal.addEventListener("abort", () => clearTimeout(due));
}

/** Calls `refresh` so often, while the page is looked at. */
export function every(ms, refresh, signal) {
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") refresh();
  }, ms);
  signal.addEventListener("abort", () => clearInterval(timer));
}
