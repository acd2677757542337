// Times, in the zone that the reader has chosen, and durations.

import { h } from "./dom.js";
import { load, save } from "./store.js";

let utc = load("utc", false);

export function isUtc() {
  return utc;
}

/** Shows all times in the other zone. */
export function toggleZone() {
  utc = !utc;
  save("utc", utc);
  for (const element of document.querySelectorAll("time[datetime]")) write(element);
}

/** A moment (RFC 3339) as an element; a dash where there is none. */
export function time(iso) {
  if (!iso) return h("span", { class: "none" }, "–");
  const element = h("time", { datetime: iso });
  write(element);
  return element;
}

function write(element) {
  const iso = element.getAttribute("datetime");
  element.textContent = written(iso);
  element.title = `${relative(iso)} · ${iso}`;
}

/** A moment as text. */
export function written(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const two = (n) => String(n).padStart(2, "0");
  const [year, month, day, hour, minute, second] = utc
    ? [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]
    : [at.getFullYear(), at.getMonth(), at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  return `${year}-${two(month + 1)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}${utc ? "Z" : ""}`;
}

/** How long ago, or until when. */
export function relative(iso) {
  const difference = new Date(iso).getTime() - Date.now();
  const text = duration(Math.abs(difference));
  return difference > 0 ? `in ${text}` : `${text} ago`;
}

/** Milliseconds as people say them. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1) return "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];
  const at = units.findIndex(([, size]) => ms >= size);
  const [unit, size] = units[at];
  const whole = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next ? Math.floor((ms - whole * size) / next[1]) : 0;
  return rest ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

/** How long from one moment to another; to now where it has not ended. */
export function between(from, to) {
  if (!from) return "–";
  return duration((to ? new Date(to) : new Date()).getTime() - new Date(from).getTime());
}
