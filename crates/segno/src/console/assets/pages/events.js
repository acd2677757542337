// Events: searched by what they say of themselves. An event is one row, whatever routes it is on.

import { h } from "../dom.js";
import { get, post } from "../api.js";
import { onChange } from "../changes.js";
import { filters } from "../filters.js";
import { ask } from "../dialog.js";
import { attempt } from "../notice.js";
import { pager } from "../pager.js";
import { button, heading, status, table } from "../parts.js";
import { all, moment, quoted } from "../query.js";
import { go, url } from "../router.js";
import { can } from "../session.js";
import { time } from "../time.js";

const FIELDS = [
  { name: "text", label: "Anything", search: true, placeholder: "begins a type, source, subject or id" },
  { name: "type", label: "Type", placeholder: "order.placed" },
  { name: "source", label: "Source", placeholder: "/shop" },
  { name: "subject", label: "Subject" },
  { name: "id", label: "Id" },
  { name: "route", label: "Route" },
  { name: "since", label: "From", kind: "datetime-local" },
  { name: "until", label: "Until", kind: "datetime-local" },
];

function query(values) {
  const terms = [
    "SegnoEventId IS NOT NULL",
    all([
      ["SegnoEventType", "=", values.type],
      ["SegnoEventSource", "=", values.source],
      ["SegnoEventSubject", "=", values.subject],
      ["SegnoEventId", "=", values.id],
      ["SegnoRoute", "=", values.route],
      ["StartTime", ">=", moment(values.since)],
      ["StartTime", "<", moment(values.until)],
    ]),
  ];
  if (values.text) {
    const names = ["SegnoEventType", "SegnoEventSource", "SegnoEventSubject", "SegnoEventId"];
    terms.push(`(${names.map((name) => `${name} STARTS_WITH ${quoted(values.text)}`).join(" OR ")})`);
  }
  return terms.filter(Boolean).join(" AND ");
}

/** Executions as events: those of one event on a page are one row. */
function grouped(executions) {
  const events = new Map();
  for (const execution of executions) {
    const key = JSON.stringify([execution.event_source, execution.event_id]);
    if (!events.has(key)) events.set(key, { ...execution, executions: [] });
    events.get(key).executions.push(execution);
  }
  return [...events.values()];
}

function draw(events) {
  return table(
    "Events, those with work to do first, then the latest",
    [
      { label: "Type", cell: (event) => event.event_type },
      { label: "Id", cell: (event) => h("a", { href: url(["events", event.event_source, event.event_id]) }, event.event_id) },
      { label: "Source", cell: (event) => event.event_source },
      { label: "Subject", cell: (event) => event.event_subject ?? "–" },
      { label: "Taken in", cell: (event) => time(event.start_time) },
      {
        label: "Routes",
        cell: (event) =>
          h("ul", { class: "plain" }, event.executions.map((one) => h("li", {}, one.route ?? "kept", " ", status(one.status)))),
      },
    ],
    events,
    { none: "No events are found." },
  );
}

async function send() {
  const example = { specversion: "1.0", id: crypto.randomUUID?.() ?? String(Date.now()), source: "/console", type: "order.placed", data: {} };
  const parsed = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  };
  const given = await ask("Send an event", {
    text: "A CloudEvent as JSON. It is taken in as any other.",
    fields: [{ name: "event", label: "Event", kind: "area", rows: 12, value: JSON.stringify(example, null, 2) }],
    action: "Send",
    check: ({ event }) => (parsed(event) ? null : "This is no JSON."),
  });
  if (!given) return;
  const event = parsed(given.event);
  if (await attempt(() => post("/events", event, "application/cloudevents+json"), "The event is taken in.")) go(url(["events", event.source, event.id]));
}

export function show(view, { title, query: asked, signal }) {
  title("Events");
  let list = null;
  const form = filters(["events"], FIELDS, asked, () => list.restart());
  list = pager(
    async (token) => {
      const page = await get("/executions", { query: query(form.values()), page_token: token }, signal);
      return { items: grouped(page.executions), next: page.next_page_token };
    },
    draw,
    signal,
  );
  view.append(heading("Events", button("Send an event", send, { hidden: !can("operator") })), form.element, list.element);
  onChange(list.refresh, signal);
}
