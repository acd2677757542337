// A list that is shown page by page, and read again when something has changed.

import { h, replace } from "./dom.js";
import { button, loading, problem } from "./parts.js";

/**
 * `read(token)` gives `{ items, next, note }`, `draw(items, note)` an element. The page that is shown is read again by
 * `refresh()`; it does not jump while somebody has gone on to a later one.
 */
export function pager(read, draw, signal) {
  const tokens = [""];
  let next = null;
  let asked = 0;
  const body = h("div", { class: "pager", "aria-live": "off" }, loading());
  const before = button("Page before", () => turn(-1), { disabled: true });
  const after = button("Next page", () => turn(1), { disabled: true });
  const where = h("span", { role: "status" });
  const controls = h("nav", { class: "pages", "aria-label": "Pages", hidden: true }, before, where, after);

  function turn(step) {
    if (step > 0) tokens.push(next);
    else tokens.pop();
    refresh();
    body.scrollIntoView({ block: "nearest" });
  }

  async function refresh() {
    const mine = ++asked;
    try {
      const { items, next: following, note } = await read(tokens.at(-1));
      if (signal.aborted || mine !== asked) return;
      next = following ?? null;
      before.disabled = tokens.length === 1;
      after.disabled = !next;
      where.textContent = `Page ${tokens.length}`;
      controls.hidden = tokens.length === 1 && !next;
      replace(body, draw(items, note));
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted && mine === asked) replace(body, problem(error));
    }
  }

  function restart() {
    tokens.length = 1;
    return refresh();
  }

  refresh();
  return { element: h("div", {}, body, controls), refresh, restart };
}
