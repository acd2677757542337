// The executions that an execution has started, open and closed, and theirs in turn as they are unfolded.

import { h, replace } from "./dom.js";
import { get } from "./api.js";
import { empty, loading, problem, status } from "./parts.js";
import { quoted } from "./query.js";
import { url } from "./router.js";

/** Children that are listed; the others are found by the list that the last line leads to. */
const MOST = 50;

/** Reads the children of an execution: `{ key, element }`, or null where there are none. `key` changes with what is shown. */
export async function children(id, signal) {
  const query = `ParentWorkflowId = ${quoted(id)}`;
  const page = await get("/executions", { query, page_size: MOST }, signal);
  if (!page.executions.length) return null;
  const one = (child) =>
    h(
      "li",
      {},
      h("a", { href: url(["executions", child.workflow_id], { run_id: child.run_id }) }, child.workflow_id),
      " ",
      status(child.status),
      " ",
      h("span", { class: "muted" }, child.type),
      unfold(child, signal),
    );
  return {
    key: JSON.stringify(page),
    element: h(
      "ul",
      { class: "tree" },
      page.executions.map(one),
      page.next_page_token ? h("li", {}, h("a", { href: url(["executions"], { query }) }, "All of them")) : null,
    ),
  };
}

/** A child's own children, read once somebody wants to see them. */
function unfold(child, signal) {
  const place = h("div", {});
  const details = h("details", {}, h("summary", {}, "Its children"), place);
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    replace(place, loading());
    try {
      const own = await children(child.workflow_id, signal);
      replace(place, own?.element ?? empty("It has none."));
    } catch (error) {
      if (error.name !== "AbortError") replace(place, problem(error));
    }
  });
  return details;
}
