// Dead letters: what failed for good, and deciding about many of them.

import { h } from "../dom.js";
import { get, post } from "../api.js";
import { onChange } from "../changes.js";
import { ask } from "../dialog.js";
import { filters } from "../filters.js";
import { attempt } from "../notice.js";
import { pager } from "../pager.js";
import { button, heading, table } from "../parts.js";
import { moment } from "../query.js";
import { go, url } from "../router.js";
import { can } from "../session.js";
import { time } from "../time.js";

const FIELDS = [
  { name: "route", label: "Route", search: true },
  { name: "type", label: "Type" },
  { name: "source", label: "Source" },
  { name: "subject", label: "Subject" },
  { name: "since", label: "Failed from", kind: "datetime-local" },
  { name: "until", label: "Failed until", kind: "datetime-local" },
  { name: "query", label: "Query besides", placeholder: "SegnoEventId = '7'" },
];

const filter = (values) =>
  Object.fromEntries(
    Object.entries({ ...values, since: moment(values.since), until: moment(values.until) }).filter(([, value]) => value),
  );

function draw(letters) {
  return table(
    "Dead letters, those that failed last first",
    [
      { label: "Dead letter", cell: (one) => h("a", { href: url(["dead-letters", one.id]) }, one.id), class: "id" },
      { label: "Event type", cell: (one) => one.event.type },
      { label: "Failed", cell: (one) => h("ul", { class: "plain" }, one.failed.map((failed) => h("li", { class: "lines" }, h("strong", {}, failed.action), `: ${failed.error}`))) },
      { label: "Failures", cell: (one) => String(one.failures), class: "number" },
      { label: "At", cell: (one) => time(one.failed_at) },
    ],
    letters,
    { none: "No dead letters: all is well." },
  );
}

const VERBS = { retry: "Retry", skip: "Skip", resolve: "Resolve" };

export function show(view, { title, query, signal }) {
  title("Dead letters");
  let list = null;
  const form = filters(["dead-letters"], FIELDS, query, () => list.restart());
  list = pager(
    async (token) => {
      const page = await get("/dead-letters", { ...filter(form.values()), page_token: token }, signal);
      return { items: page.dead_letters, next: page.next_page_token };
    },
    draw,
    signal,
  );

  async function bulk(verb) {
    const chosen = filter(form.values());
    const which = Object.entries(chosen).map(([name, value]) => `${name} ${value}`).join(", ") || "all of them";
    const fields = [
      { name: "note", label: "Note", required: verb === "resolve" },
      { name: "per_second", label: "At most so many a second", kind: "number", hint: "Nothing is as fast as it goes." },
    ];
    if (verb === "retry") {
      fields.push({ name: "current_route", label: "With the routes as they are now", kind: "check" });
      fields.push({ name: "all_actions", label: "All actions, not only those that failed", kind: "check" });
    }
    const given = await ask(`${VERBS[verb]} all that are found?`, {
      text: `Which: ${which}. Those count that have failed until now.`,
      fields,
      action: VERBS[verb],
      danger: verb !== "retry",
    });
    if (!given) return;
    const request = { id: `console-${Date.now()}`, action: verb, filter: chosen };
    if (given.note) request.note = given.note;
    if (given.per_second) request.per_second = Number(given.per_second);
    if (given.current_route) request.current_route = true;
    if (given.all_actions) request.all_actions = true;
    if (await attempt(() => post("/dead-letters/bulk", request), "It has begun.")) go(url(["bulk", request.id]));
  }

  const hidden = !can("operator");
  view.append(
    heading(
      "Dead letters",
      button("Retry all found …", () => bulk("retry"), { hidden }),
      button("Skip all found …", () => bulk("skip"), { hidden }),
      button("Resolve all found …", () => bulk("resolve"), { hidden }),
    ),
    form.element,
    list.element,
  );
  onChange(list.refresh, signal);
}
