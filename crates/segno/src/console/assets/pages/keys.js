// Keys of routes with flow control: what waits, what is parked, and letting it go on.

import { h } from "../dom.js";
import { get, post } from "../api.js";
import { every, onChange } from "../changes.js";
import { confirm, ask } from "../dialog.js";
import { filters } from "../filters.js";
import { attempt } from "../notice.js";
import { pager } from "../pager.js";
import { button, heading, number, status, table } from "../parts.js";
import { url } from "../router.js";
import { can } from "../session.js";
import { time } from "../time.js";

const FIELDS = [
  { name: "route", label: "Route", search: true },
  { name: "parked", label: "Which", kind: "select", options: [["", "All"], ["true", "Parked"], ["false", "Not parked"]] },
];

export function show(view, { title, query, signal }) {
  title("Keys");
  let list = null;
  const form = filters(["keys"], FIELDS, query, () => list.restart());
  const told = async (verb, { route, key }, text) => {
    await attempt(() => post(`/keys/${verb}`, { route, key }), text);
    list.refresh();
  };
  const release = async (key) => {
    const sure = await confirm(`Release ${key.key}?`, `Its events go on without ${key.parked.by}, which has failed. It stays a dead letter.`, "Release");
    if (sure) await told("release", key, "Its events go on.");
  };
  const pause = async () => {
    const given = await ask("Pause a key", {
      fields: [
        { name: "route", label: "Route", required: true },
        { name: "key", label: "Key", required: true },
      ],
      action: "Pause",
    });
    if (given) await told("pause", given, "It is paused: its events wait.");
  };
  const actions = (key) =>
    h(
      "div",
      { class: "actions" },
      key.parked ? button("Release", () => release(key), { "data-keep": `release ${key.route} ${key.key}` }) : null,
      key.paused
        ? button("Resume", () => told("resume", key, "It goes on."), { "data-keep": `resume ${key.route} ${key.key}` })
        : button("Pause", () => told("pause", key, "It is paused: its events wait."), { "data-keep": `pause ${key.route} ${key.key}` }),
    );
  const link = (id) => h("a", { href: url(["executions", id]) }, id);
  const columns = [
    { label: "Route", cell: (key) => key.route },
    { label: "Key", cell: (key) => key.key || "(none)", class: "id" },
    { label: "State", cell: (key) => status(key.parked ? "Parked" : key.paused ? "Paused" : "Active") },
    { label: "Waiting", cell: (key) => number(key.waiting), class: "number" },
    { label: "Since", cell: (key) => time(key.parked?.since ?? key.paused ?? key.since) },
    {
      label: "Behind",
      cell: (key) => (key.parked ? h("span", {}, h("a", { href: url(["dead-letters", key.parked.by]) }, key.parked.by), ` ${key.parked.cause}`) : key.running.map(link)),
      class: "id",
    },
  ];
  if (can("operator")) columns.push({ label: "Do", cell: actions });
  list = pager(
    async (token) => {
      const { route, parked } = form.values();
      const page = await get("/keys", { route, parked, page_token: token }, signal);
      return { items: page.keys, next: page.next_page_token };
    },
    (items) => table("Keys with events that wait or run, or that are held up", columns, items, { none: "No key waits." }),
    signal,
  );
  view.append(heading("Keys", button("Pause a key …", pause, { hidden: !can("operator") })), form.element, list.element);
  onChange(list.refresh, signal);
  every(5000, list.refresh, signal);
}
