// An address that is none.

import { h } from "../dom.js";
import { heading } from "../parts.js";
import { url } from "../router.js";

export function show(view, { title }) {
  title("Not found");
  view.append(heading("Not found"), h("p", {}, "There is no such page. ", h("a", { href: url([]) }, "To the overview")));
}
