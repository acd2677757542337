// One replay: how far it is, and what has become of what it started.

import { h } from "../dom.js";
import { get, path } from "../api.js";
import { showOperation } from "../operation.js";
import { number, panel, status } from "../parts.js";
import { quoted } from "../query.js";
import { url } from "../router.js";

export async function show(view, context) {
  const { id } = context.params;
  const query = `SegnoReplay = ${quoted(id)}`;
  const list = (condition) => url(["executions"], { query: condition ? `${query} AND ${condition}` : query });
  async function more(signal) {
    const { counts } = await get("/executions", { query, page_size: 1, count: true }, signal);
    const all = Object.entries(counts ?? {});
    const figure = ([name, count]) =>
      h("div", { class: "fact" }, h("dt", {}, status(name)), h("dd", {}, h("a", { href: list(`ExecutionStatus = '${name}'`) }, number(count))));
    return {
      key: JSON.stringify(all),
      // What it started may go on after its own end.
      open: Boolean(counts?.Running),
      element: panel(
        "What it started",
        all.length ? h("dl", { class: "strip" }, all.map(figure)) : h("p", { class: "empty" }, "Nothing yet."),
        h("p", {}, h("a", { href: list() }, "All of its executions")),
      ),
    };
  }
  return showOperation(view, context, {
    name: `Replay ${id}`,
    address: path("replays", id),
    cancelled: "It is told to end. What it has started goes on.",
    more,
  });
}
