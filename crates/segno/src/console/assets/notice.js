// Short messages: what has been done, and what has not. Screen readers read them out.

import { h } from "./dom.js";

const SHOWN = 6000;
const said = h("div", { class: "notices", role: "status", "aria-live": "polite" });
const failed = h("div", { class: "notices", role: "alert" });

export function noticeRegions() {
  return [said, failed];
}

function put(region, kind, text) {
  const close = () => element.remove();
  const button = h("button", { class: "quiet", "aria-label": "Dismiss", on: { click: close } }, "✕");
  const element = h("div", { class: `notice ${kind}` }, h("span", { class: "lines" }, text), button);
  region.append(element);
  if (kind === "done") setTimeout(close, SHOWN);
}

export const done = (text) => put(said, "done", text);

/** Says what went wrong; not that a page was left while it was loading. */
export function wrong(error) {
  if (error?.name === "AbortError") return;
  put(failed, "wrong", error?.text ?? error?.message ?? String(error));
}

/** Does something and says how it went. Returns whether it went well. */
export async function attempt(what, text) {
  try {
    const value = await what();
    done(typeof text === "function" ? text(value) : text);
    return true;
  } catch (error) {
    wrong(error);
    return false;
  }
}
