// Replays: events of before, handled again on chosen routes. First it is said what would run, then it may be begun.

import { h, replace } from "../dom.js";
import { get, post } from "../api.js";
import { onChange } from "../changes.js";
import { labelled } from "../dialog.js";
import { wrong } from "../notice.js";
import { pager } from "../pager.js";
import { button, empty, heading, loading, number, panel, problem, status, table } from "../parts.js";
import { all, moment } from "../query.js";
import { go, note, url } from "../router.js";
import { can } from "../session.js";
import { between, time } from "../time.js";

const TEXTS = [
  { name: "type", label: "Type", placeholder: "order.placed", search: true },
  { name: "source", label: "Source", placeholder: "/shop" },
  { name: "subject", label: "Subject" },
  { name: "id", label: "Event id" },
  { name: "from", label: "Taken in from", kind: "datetime-local" },
  { name: "to", label: "Taken in until", kind: "datetime-local" },
  { name: "query", label: "Query besides", placeholder: "ExecutionStatus = 'Failed'" },
  { name: "per_second", label: "At most so many a second", kind: "number", hint: "Nothing is as fast as it goes." },
  { name: "note", label: "Note" },
];

const SAID = {
  handler: ({ then, now }) => `${now} in place of ${then}`,
  new_action: ({ action }) => `the action ${action} is new`,
  gone_action: ({ action }) => `the action ${action} is no more`,
  sink: ({ action, then, now }) => `${action} goes to ${now} and not to ${then}`,
  payloads: ({ action }) => `${action} yields other payloads`,
  available: ({ action }) => `${action} has another condition`,
  order: ({ action }) => `${action} comes at another place`,
  event: () => "the event is the one that came, not the one that was mended",
};

const STATES = { new: "New", different: "Different", not_taken_now: "Not taken now" };

/** What a dry run says: figures, and what is not as it was. */
function outcome(told) {
  const figures = [
    ["Events", told.events],
    ["Would run", told.would_run],
    ["New", told.new],
    ["The same as then", told.same],
    ["Different", told.different],
    ["Not taken any more", told.not_taken_now],
  ];
  const said = ({ difference, ...rest }) => SAID[difference]?.({ ...rest }) ?? difference;
  return [
    h("dl", { class: "strip" }, figures.map(([name, count]) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, number(count))))),
    table(
      "What would not be as it was",
      [
        { label: "Route", cell: (one) => one.route },
        { label: "Event", cell: (one) => h("a", { href: url(["events", one.source, one.event_id]) }, `${one.source} ${one.event_id}`), class: "id" },
        { label: "Would be", cell: (one) => status(STATES[one.would_be] ?? one.would_be) },
        { label: "Then", cell: (one) => (one.then ? status(one.then) : "–") },
        { label: "Differences", cell: (one) => (one.differences?.length ? h("ul", { class: "plain" }, one.differences.map((other) => h("li", {}, said(other)))) : "–") },
      ],
      told.executions,
      { none: told.would_run ? "All that would run is what ran then." : "Nothing would run." },
    ),
  ];
}

/** The form, with what a dry run of it says below. */
function begin(routes, query, signal) {
  const chosen = (query.get("routes") ?? "").split(",");
  const boxes = routes.map((name) => [name, h("input", { type: "checkbox", checked: chosen.includes(name) })]);
  const inputs = TEXTS.map((field) => {
    const { name, kind = "text", placeholder, search } = field;
    const more = kind === "number" ? { min: "0.001", step: "any" } : kind === "datetime-local" ? { step: "1" } : {};
    return [field, h("input", { type: kind, value: query.get(name) ?? "", placeholder, spellcheck: "false", "data-search": search, ...more })];
  });
  const oneByOne = h("input", { type: "checkbox", checked: query.get("one_by_one") === "true" });
  const result = h("div", { "aria-live": "polite" });
  const values = () => ({
    ...Object.fromEntries(inputs.map(([{ name }, element]) => [name, element.value.trim()])),
    routes: boxes.filter(([, box]) => box.checked).map(([name]) => name).join(","),
    one_by_one: oneByOne.checked || "",
  });

  /** The request that the fields make; up to now, so that what is begun is what was looked at. */
  function request() {
    const given = values();
    const made = { id: `console-${Date.now()}`, routes: given.routes.split(",").filter(Boolean), to: moment(given.to) || new Date().toISOString() };
    for (const name of ["type", "source", "subject", "note"]) if (given[name]) made[name] = given[name];
    if (given.from) made.from = moment(given.from);
    const besides = [all([["SegnoEventId", "=", given.id]]), given.query && `(${given.query})`].filter(Boolean).join(" AND ");
    if (besides) made.query = besides;
    if (given.per_second) made.per_second = Number(given.per_second);
    if (given.one_by_one) made.one_by_one = true;
    return made;
  }

  async function look(asked, from) {
    replace(result, loading());
    let told = null;
    try {
      told = await post("/replays", { ...asked, ...(from ? { from } : {}), dry_run: true });
    } catch (error) {
      replace(result, problem(error));
      return;
    }
    if (signal.aborted) return;
    const start = async (event) => {
      event.target.disabled = true;
      try {
        await post("/replays", asked);
        go(url(["replays", asked.id]));
      } catch (error) {
        wrong(error);
        event.target.disabled = false;
      }
    };
    replace(
      result,
      panel(
        "What would run",
        from ? h("p", {}, "Of the events since ", time(from), ":") : null,
        outcome(told),
        told.next_from
          ? h("p", {}, "There are more events than were looked at, since ", time(told.next_from), ". ", button("Look at those", () => look(asked, told.next_from)))
          : null,
        h(
          "div",
          { class: "actions" },
          button(from || told.next_from ? "Start the replay of all" : "Start the replay", start, { kind: "primary", hidden: !told.would_run && !told.next_from && !from }),
        ),
      ),
    );
  }

  const submit = (event) => {
    event.preventDefault();
    note(url(["replays"], values()));
    const asked = request();
    if (!asked.routes.length) {
      replace(result, h("p", { class: "problem", role: "alert" }, "Choose the routes that are to handle the events."));
      boxes[0]?.[1].focus();
      return;
    }
    look(asked);
  };
  const form = h(
    "form",
    // What has been changed has not been looked at.
    { class: "filters", on: { submit, input: () => replace(result) } },
    inputs.map(([field, element]) => labelled(field, element)),
    h(
      "fieldset",
      {},
      h("legend", {}, "On these routes, as they are now"),
      boxes.length ? boxes.map(([name, box]) => labelled({ kind: "check", label: name }, box)) : empty("No routes are configured."),
    ),
    labelled({ kind: "check", label: "One by one: each ends before the next begins" }, oneByOne),
    h("div", { class: "actions" }, h("button", { class: "primary" }, "See what would run")),
  );
  return panel("Replay events", form, result);
}

export async function show(view, { title, query, signal }) {
  title("Replays");
  const form = h("div", {}, can("operator") ? loading() : empty("Whoever is an operator may begin replays."));
  const list = pager(
    async (token) => {
      const asked = { query: "WorkflowType = 'SegnoReplay' AND ExecutionStatus != 'ContinuedAsNew'", page_token: token };
      const page = await get("/executions", asked, signal);
      return { items: page.executions, next: page.next_page_token };
    },
    (replays) =>
      table(
        "Replays, those under way first, then the latest",
        [
          {
            label: "Replay",
            cell: ({ workflow_id }) => {
              const id = workflow_id.slice("@replay/".length);
              return h("a", { href: url(["replays", id]) }, id);
            },
            class: "id",
          },
          { label: "State", cell: (one) => status(one.status) },
          { label: "Began", cell: (one) => time(one.start_time) },
          { label: "Took", cell: (one) => between(one.start_time, one.close_time) },
        ],
        replays,
        { none: "There have been no replays." },
      ),
    signal,
  );
  view.append(heading("Replays"), form, list.element);
  onChange(list.refresh, signal);
  if (!can("operator")) return;
  try {
    const { routes } = await get("/topology", {}, signal);
    replace(form, begin(routes.map((route) => route.name), query, signal));
  } catch (error) {
    if (error.name !== "AbortError" && !signal.aborted) replace(form, problem(error));
  }
}
